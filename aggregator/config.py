"""Every setting of the aggregator: a name, a default, a sentence. See protos/settings.py for files, environment, flags.

Environment variables are the names in capitals after `ANOMAFLOW_AGGREGATOR_`.
"""

# ruff: noqa: RUF009 - `setting` makes a dataclass field

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aggregator.errors import BindRefused
from protos.settings import ConfigError, setting

PREFIX: Final = "ANOMAFLOW_AGGREGATOR_"


@dataclass(frozen=True, slots=True)
class AggregatorConfig:
    """Settings of `anomaflow-aggregator`."""

    state_dir: Path = setting(Path("/var/lib/anomaflow"), "Directory of the database, flows, models and jobs.")

    grpc_host: str = setting("127.0.0.1", "Address agents connect to. Loopback only: agents have no identities yet.")
    grpc_port: int = setting(50551, "Port agents connect to; 0 takes a free one.")
    web_host: str = setting("127.0.0.1", "Address of console and REST. Loopback only.")
    web_port: int = setting(8080, "Port of console and REST; 0 takes a free one.")
    web_hosts: tuple[str, ...] = setting(
        (), "Further host names browsers may use for the console, for instance behind an SSH tunnel or a proxy."
    )
    https: bool = setting(False, "True behind a proxy that serves HTTPS: cookies are then marked Secure.")

    max_record_mib: int = setting(16, "Largest record taken from an agent; larger ones are set aside. MiB.")
    max_rows: int = setting(65_536, "Most flows in one record.")
    stream_window: int = setting(16, "Records an agent may have in flight before it waits for an acknowledgement.")
    inbox_high_water: int = setting(20_000, "Records waiting for a Parquet file at which agents are asked to pause.")
    max_broken_mib: int = setting(256, "Room for batches set aside as malformed; beyond it they are only counted. MiB.")

    stage_seconds: float = setting(5.0, "How often received flows are written to staging Parquet files. Seconds.")
    stage_rows: int = setting(50_000, "Rows in a staging file; reaching them writes one at once.")
    quarantine_hours: float = setting(72.0, "Age a row must have before it is merged into the lake. Hours.")
    merge_minutes: float = setting(15.0, "How often rows past quarantine are merged into the lake. Minutes.")
    lake_file_rows: int = setting(200_000, "Rows in a lake file.")
    query_memory_mib: int = setting(512, "Memory a flow query may use. MiB.")
    query_seconds: float = setting(20.0, "Time a flow query may take. Seconds.")

    promised_fpr: float = setting(0.001, "Share of benign flows that may alert; sets the threshold at a promotion.")
    keep_fraction: float = setting(0.05, "Share of quiet flows that agents send as a sample, 0 to 1.")
    max_alerts_per_minute: int = setting(600, "Alerts an agent may raise a minute; flows beyond are kept silently.")
    calibration_hours: float = setting(
        168.0, "Counted traffic a group's threshold is chosen from and judged by. Hours."
    )
    recalibrate_hours: float = setting(
        24.0, "Least time between recalibrations a group gets by itself; 0 switches them off. Hours."
    )
    recalibrate_after_hours: float = setting(
        6.0, "Traffic a group must have counted before it is recalibrated by itself. Hours."
    )
    attend_minutes: float = setting(5.0, "How often promises are looked at, and groups recalibrated. Minutes.")
    score_days: float = setting(30.0, "How long counted scores are kept. Days.")
    default_threshold: float = setting(3.0, "Score that alerts while no model was promoted yet.")

    max_model_mib: int = setting(64, "Largest model file. MiB.")
    modelcheck_memory_mib: int = setting(
        1024, "Memory a model may use in its self-test, beyond the runtime's own. MiB."
    )
    modelcheck_seconds: int = setting(20, "Processor time a model may use in its self-test. Seconds.")

    baseline_benign: tuple[str, ...] = setting(
        (), "Captures of benign traffic, or folders of them, for every training."
    )
    baseline_attacks: tuple[str, ...] = setting(
        ("generated",),
        "Attacks by which every retrained model is compared with the one in use, and which never train one: captures, "
        "manifests, set files, or the word generated for the built-in ones.",
    )
    baseline_golden: tuple[str, ...] = setting(
        (), "Benign traffic that counts false alerts of every retrained model, and never trains one."
    )
    review_alerts: int = setting(10, "Alerts offered for review at a time.")
    review_flows: int = setting(5, "Flows without an alert offered for review at a time.")
    review_hours: float = setting(72.0, "How far back the review queue looks for alerts and flows. Hours.")
    trainer_command: tuple[str, ...] = setting(
        ("anomaflow-trainer",), "Command that trains; looked for beside this Python, then in PATH."
    )
    job_hours: float = setting(6.0, "Time a training run may take. Hours.")
    job_memory_mib: int = setting(8192, "Memory for data a training run may use. MiB.")
    job_grace_seconds: float = setting(10.0, "Time a cancelled training run has to stop before it is killed. Seconds.")

    workbench_upload_mib: int = setting(1024, "Largest file that may be uploaded to the workbench. MiB.")
    workbench_quota_mib: int = setting(20_480, "Room for all files of the workbench. MiB.")
    workbench_user_quota_mib: int = setting(
        10_240, "Room for the data sets, experiments and predictions of one user. MiB."
    )
    workbench_free_mib: int = setting(1024, "Room that must stay free on the disk beside an upload. MiB.")
    workbench_rows: int = setting(5_000_000, "Most rows of a data set.")
    workbench_columns: int = setting(2_000, "Most columns of a data set.")
    workbench_table_mib: int = setting(8192, "Most bytes of an upload once it is unpacked. MiB.")
    workbench_heavy: int = setting(1, "Experiments, and other long work, under way at a time; more wait their turn.")
    workbench_light: int = setting(2, "Imports, profiles and predictions under way at a time; more wait their turn.")
    workbench_short: int = setting(2, "Plots, explanations and single rows worked out at a time.")
    workbench_memory_mib: int = setting(6144, "Memory for data an experiment may use. MiB.")
    workbench_light_memory_mib: int = setting(3072, "Memory for data any other work of the workbench may use. MiB.")
    workbench_hours: float = setting(12.0, "Time an experiment may take, whatever its own budget says. Hours.")
    workbench_light_minutes: float = setting(60.0, "Time an import, a profile or a prediction may take. Minutes.")
    workbench_short_seconds: float = setting(240.0, "Time a plot, an explanation or a single row may take. Seconds.")
    workbench_leave_running: bool = setting(
        True, "Leave work running when the aggregator stops, and follow it again at the next start."
    )
    workbench_schemes: tuple[str, ...] = setting(
        ("https", "s3", "gs", "abfs", "sftp"),
        "Kinds of address a remote file may be imported from; none switches it off.",
    )
    workbench_databases: tuple[str, ...] = setting(
        ("postgresql", "mysql", "mariadb", "mssql", "oracle"),
        "Kinds of SQL database a table may be imported from; none switches it off.",
    )
    workbench_hosts: tuple[str, ...] = setting(
        (),
        "Hosts tables may be imported from, by name or network; empty for any public one. Private ones must be named.",
    )

    session_idle_minutes: int = setting(120, "A console session unused for this long ends. Minutes.")
    session_hours: int = setting(12, "A console session ends after this long in any case. Hours.")
    login_attempts: int = setting(5, "Failed logins of one user, or from one address times four, before it must wait.")
    login_wait_seconds: int = setting(
        60, "Wait after too many failed logins, and the window they are counted in. Seconds."
    )

    def __post_init__(self) -> None:
        positive = (
            "max_record_mib", "max_rows", "stream_window", "inbox_high_water", "stage_seconds", "stage_rows",
            "merge_minutes", "lake_file_rows", "query_memory_mib", "query_seconds", "max_model_mib",
            "modelcheck_memory_mib", "modelcheck_seconds", "job_hours", "job_memory_mib", "session_idle_minutes",
            "session_hours", "review_hours", "login_attempts", "login_wait_seconds", "max_alerts_per_minute",
            "calibration_hours", "attend_minutes", "score_days", "workbench_upload_mib", "workbench_quota_mib",
            "workbench_user_quota_mib", "workbench_rows", "workbench_columns", "workbench_table_mib", "workbench_heavy",
            "workbench_light", "workbench_short", "workbench_memory_mib", "workbench_light_memory_mib",
            "workbench_hours", "workbench_light_minutes", "workbench_short_seconds",
        )  # fmt: skip
        for name in positive:
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must be above 0")
        for name in ("promised_fpr", "keep_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be between 0 and 1")
        for name in ("review_alerts", "review_flows"):
            if not 0 <= getattr(self, name) <= 100:
                raise ConfigError(f"{name} = {getattr(self, name)} must be between 0 and 100")
        for name in ("quarantine_hours", "recalibrate_hours", "recalibrate_after_hours"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must not be negative")
        if not self.trainer_command:
            raise ConfigError("trainer_command must not be empty")
        for name in ("grpc_port", "web_port"):
            if not 0 <= getattr(self, name) <= 65_535:
                raise ConfigError(f"{name} = {getattr(self, name)} is not a port")

    @property
    def database(self) -> Path:
        """The relational store."""
        return self.state_dir / "aggregator.db"

    @property
    def models_dir(self) -> Path:
        """Model files and their reports, named by digest."""
        return self.state_dir / "models"

    @property
    def workbench_dir(self) -> Path:
        """Data sets, runs and predictions of the workbench."""
        return self.state_dir / "workbench"

    @property
    def jobs_dir(self) -> Path:
        """A folder a training run."""
        return self.state_dir / "jobs"

    @property
    def sets_dir(self) -> Path:
        """Frozen sets, named by digest."""
        return self.state_dir / "sets"

    @property
    def broken_dir(self) -> Path:
        """Records that could not be read."""
        return self.state_dir / "broken"


def require_loopback(host: str, what: str) -> None:
    """Raise `BindRefused` unless `host` is a loopback address. Names other than localhost are not resolved: refused."""
    if host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise BindRefused(
            f"{what} = {host!r}: refusing to listen beyond this machine, because agents and browsers would talk "
            "without encryption and agents have no identities; use 127.0.0.1 or ::1 (reach it from elsewhere through "
            "an SSH tunnel)"
        )


AGENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What an agent may be called."""

EPOCH: Final = re.compile(r"[0-9a-f]{4,64}")
"""What an epoch looks like."""

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
"""What a SHA-256 looks like in text."""
