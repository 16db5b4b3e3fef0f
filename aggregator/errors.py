"""What can go wrong in the aggregator. Every message says what was being done, what went wrong and what to do.

AggregatorError
├── RequestRefused       somebody asked for what cannot be done; nothing was changed
│   ├── Invalid              a value that cannot be used
│   ├── NotFound             no such thing
│   ├── Conflict             the thing's state does not allow it
│   ├── Unauthenticated      nobody known is asking
│   ├── Forbidden            the role or scope does not allow it
│   ├── TooLarge             more bytes than a limit or the room left allows
│   └── TooMany              too many attempts; wait (retryable)
│       └── Busy                 as much is being done as may be; wait (retryable)
├── RecordRefused        an agent's hello or record that must not be stored
├── ModelRefused         foreign, corrupt, too large, for other features, or failing its self-test
├── GateFailed           a model that is not better than the champion
├── StateError           the state directory or database cannot be used (retryable: a full disk may be emptied)
├── BindRefused          an address that must not be listened on
├── NotEnoughData        nothing to train on
└── TrainerFailed        the trainer ended without what it was asked for
"""

# ruff: noqa: N818 - an error is named after what happened, as the tree reads

from __future__ import annotations

from protos.exits import ExitCode


class AggregatorError(Exception):
    """Root of the tree. `exit_code` is what a command ends with, `status` what REST answers."""

    exit_code: ExitCode = ExitCode.FAILED
    status: int = 500


class RequestRefused(AggregatorError):
    """Somebody asked for what cannot be done; nothing was changed."""

    exit_code = ExitCode.AGGREGATOR
    status = 400


class Invalid(RequestRefused):
    """A value that cannot be used."""

    exit_code = ExitCode.USAGE
    status = 422


class NotFound(RequestRefused):
    """No such thing."""

    status = 404


class Conflict(RequestRefused):
    """The thing's state does not allow it."""

    status = 409


class Unauthenticated(RequestRefused):
    """Nobody known is asking."""

    exit_code = ExitCode.PERMISSION
    status = 401


class Forbidden(RequestRefused):
    """The role or the token's scope does not allow it."""

    exit_code = ExitCode.PERMISSION
    status = 403


class TooMany(RequestRefused):
    """Too many attempts. `retry_after_s` says how long to wait."""

    status = 429

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLarge(RequestRefused):
    """More bytes than a limit or the room left allows. The message names the limit."""

    exit_code = ExitCode.DATA
    status = 413


class Busy(TooMany):
    """As much is being done as may be at a time."""

    status = 503


class RecordRefused(AggregatorError):
    """An agent's hello or record that must not be stored. `retry` is true when the agent should simply come again."""

    exit_code = ExitCode.AGGREGATOR
    status = 422

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class ModelRefused(AggregatorError):
    """A model that must not enter the registry."""

    exit_code = ExitCode.MODEL
    status = 422


class GateFailed(AggregatorError):
    """A model that did not pass its gate against the champion."""

    exit_code = ExitCode.GATE
    status = 409


class StateError(AggregatorError):
    """The state directory or database cannot be used."""

    exit_code = ExitCode.STATE
    status = 503


class BindRefused(AggregatorError):
    """An address that must not be listened on."""

    exit_code = ExitCode.CONFIG
    status = 500


class NotEnoughData(AggregatorError):
    """Nothing to train on."""

    exit_code = ExitCode.DATA
    status = 409


class TrainerFailed(AggregatorError):
    """The trainer ended without what it was asked for."""

    exit_code = ExitCode.DATA
    status = 500


RETRYABLE: frozenset[type[AggregatorError]] = frozenset({TooMany, StateError})
"""Errors after which the same call may succeed later without anybody changing the request."""
