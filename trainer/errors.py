"""What can go wrong in the trainer. Every message says what was being done, what went wrong and what to do.

    TrainerError
    ├── DataError            there is not enough usable data, or it is not what was expected
    │   ├── SourceMissing        no such file or folder, or nothing in it to learn from
    │   ├── ForeignRows          a Parquet file of another schema or another feature contract
    │   ├── NotEnoughRows        a role of the split has too few rows to mean anything
    │   ├── TableUnreadable      a table that is empty, ragged, or without the column or label it needs
    │   ├── DatasetRefused       a table that breaks a limit, or is not what it says it is
    │   ├── SourceUnreachable    a database or remote file that is away, says no, or may not be asked
    │   ├── SettingsUnusable     settings of an experiment that name what does not exist, or ask for what cannot be done
    │   ├── ColumnsMissing       a table to predict on that lacks too many of the columns the model was made on
    │   └── TruthUnreadable      a capture manifest, or a rule in it, that cannot be understood
    ├── ModelError           a model that is foreign, corrupt, or fails its own self-test
    │   ├── ParityError          the exported graph does not answer as the fitted detector does
    │   ├── Unsound              a fitted model that says nothing, or that learned the label instead of the traffic
    │   ├── TrainingFailed       a network whose loss is no longer a number
    │   └── NotPromotable        a model of the workbench that agents could not run
    ├── OutputError          a model or report cannot be written
    └── PublishError         the aggregator is away or refused the model

`NotFitted` stands outside the tree: it is a mistake of the caller, never of the data.
"""

# ruff: noqa: N818 - an error is named after what happened, as the tree reads

from __future__ import annotations

from protos.exits import ExitCode


class TrainerError(Exception):
    """Root of the tree. `exit_code` is what a command ends with."""

    exit_code: ExitCode = ExitCode.FAILED


class DataError(TrainerError):
    """There is not enough usable data, or it is not what was expected."""

    exit_code = ExitCode.DATA


class SourceMissing(DataError):
    """No such file or folder, or nothing in it to learn from."""


class ForeignRows(DataError):
    """A Parquet file of another schema or another feature contract."""


class NotEnoughRows(DataError):
    """A role of the split has too few rows to mean anything."""


class TableUnreadable(DataError):
    """A table that is empty, ragged, or without the column or label it needs."""


class DatasetRefused(DataError):
    """A table that breaks a limit, or is not what it says it is."""


class SourceUnreachable(DataError):
    """A database or remote file that is away, says no, or may not be asked."""


class SettingsUnusable(DataError):
    """Settings of an experiment that name what does not exist, or ask for what cannot be done."""

    exit_code = ExitCode.USAGE


class ColumnsMissing(DataError):
    """A table to predict on that lacks too many of the columns the model was made on."""


class TruthUnreadable(DataError):
    """A capture manifest, or a rule in it, that cannot be understood."""


class ModelError(TrainerError):
    """A model that is foreign, corrupt, or fails its own self-test."""

    exit_code = ExitCode.MODEL


class ParityError(ModelError):
    """The exported graph does not answer as the fitted detector does."""


class Unsound(ModelError):
    """A fitted model that says nothing, or that learned the label instead of the traffic."""


class TrainingFailed(ModelError):
    """A network whose loss is no longer a number."""


class NotPromotable(ModelError):
    """A model of the workbench that agents could not run."""


class OutputError(TrainerError):
    """A model or report cannot be written."""

    exit_code = ExitCode.STATE


class PublishError(TrainerError):
    """The aggregator is away or refused the model."""

    exit_code = ExitCode.AGGREGATOR


class NotFitted(RuntimeError):
    """A detector was asked for scores before `fit`."""
