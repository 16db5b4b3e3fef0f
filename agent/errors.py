"""What can go wrong in the agent. Every message says what was being done, what went wrong and what to do.

    AgentError
    ├── SourceError          the packets cannot be had
    │   ├── CaptureMissing       no such file
    │   ├── NotACapture          a file that is neither pcap nor pcapng
    │   ├── CaptureTruncated     a capture that ends inside a packet (after all whole packets were metered)
    │   ├── BadFilter            the filter expression does not compile
    │   ├── InterfaceMissing     no such interface
    │   ├── InterfaceLost        the interface went down or vanished while it was metered
    │   └── CaptureNotPermitted  CAP_NET_RAW is missing
    ├── ModelRefused         foreign, corrupt, for other features, or failing its self-test
    ├── StateError           the state directory or spool cannot be used
    │   ├── SpoolBusy            another agent owns this spool
    │   ├── SpoolAbsent          no spool yet: the sensor makes it
    │   ├── SpoolFull            nothing but alerts left in it, and no room for more
    │   ├── SpoolDamaged         the file is not what was written; what can be read is kept
    │   └── DiskTrouble          no space, or an I/O error
    └── AggregatorAway       no answer, or a refusal

`RETRYABLE` names those after which the same call may succeed later.
"""

from __future__ import annotations

from protos.exits import ExitCode


class AgentError(Exception):
    """Root of the tree. `exit_code` is what a command ends with."""

    exit_code: ExitCode = ExitCode.FAILED


class SourceError(AgentError):
    """The packets cannot be had."""

    exit_code = ExitCode.SOURCE


class CaptureMissing(SourceError):
    """No such capture file."""


class NotACapture(SourceError):
    """A file that is neither pcap nor pcapng."""


class CaptureTruncated(SourceError):
    """A capture that ends inside a packet. Raised after everything before was metered and emitted."""


class BadFilter(SourceError):
    """The filter expression does not compile."""


class InterfaceMissing(SourceError):
    """No such interface on this host."""


class InterfaceLost(SourceError):
    """The interface went down, was removed or renamed while it was metered."""


class CaptureNotPermitted(SourceError):
    """The process may not capture."""

    exit_code = ExitCode.PERMISSION


class ModelRefused(AgentError):
    """A model that must not become current."""

    exit_code = ExitCode.MODEL


class StateError(AgentError):
    """The state directory or spool cannot be used."""

    exit_code = ExitCode.STATE


class SpoolBusy(StateError):
    """Another agent owns this spool."""


class SpoolAbsent(StateError):
    """No spool yet: the sensor makes it."""


class SpoolFull(StateError):
    """Nothing but alerts left in the spool, and no room for more."""


class SpoolDamaged(StateError):
    """The spool file is not what was written."""


class DiskTrouble(StateError):
    """No space, or an I/O error."""


class AggregatorAway(AgentError):
    """The aggregator does not answer, or refused this agent."""

    exit_code = ExitCode.AGGREGATOR


RETRYABLE: frozenset[type[AgentError]] = frozenset({InterfaceLost, DiskTrouble, AggregatorAway})
"""Errors after which the same call may succeed later without anybody changing anything."""
