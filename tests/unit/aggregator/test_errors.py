"""The tree of errors."""

from __future__ import annotations

from aggregator.errors import AggregatorError


def test_every_error_has_a_status_and_an_exit_code():
    """REST and commands can always say how it ended."""

    def tree(kind):
        return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]

    for kind in tree(AggregatorError):
        assert 400 <= kind.status < 600
        assert kind.exit_code
        assert kind.__doc__
