"""`anomaflow-agent`: parse, build, run. What a command needs is imported when it runs, so `--help` is instant."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config import add_flags, from_arguments, require_source
from agent.errors import AgentError
from protos.exits import ExitCode
from protos.settings import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config import AgentConfig
    from agent.scorer import Scorer

_TIMEOUTS = ("idle_timeout_ms", "active_timeout_ms", "half_open_timeout_ms", "tcp_linger_ms")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        print(f"anomaflow-agent: {error}", file=sys.stderr)
        return ExitCode.CONFIG
    except AgentError as error:
        print(f"anomaflow-agent: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # `| head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="anomaflow-agent",
        description="Meters flows on this host, scores them, and sends alerts to the aggregator.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _command(commands, "run", "Meter an interface or replay captures, and send what is found.", _run)
    source = run.add_mutually_exclusive_group()
    add_flags(source, "iface")
    source.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="Captures to replay instead.")
    run.add_argument("--pace", choices=("real", "fast"), default="fast", help="How fast captures are replayed.")
    run.add_argument(
        "--wait-model", type=float, default=0.0, metavar="S", help="Wait this long for a first model before metering."
    )
    add_flags(run, "state_dir", "aggregator", "agent_id", "model", "bpf", "threshold", "keep_fraction", "batch_flows")
    add_flags(run, "flush_ms", "max_alerts_per_minute", "spool_max_mib", "max_flows", "drain_timeout_s", "log_level")

    score = _command(commands, "score", "Score the flows of captures; JSON Lines, one object a flow.", _score)
    score.add_argument("files", nargs="+", type=Path, metavar="FILE")
    _model_flag(score)
    add_flags(score, "state_dir", "threshold", "promised_fpr", "bpf")

    vectors = _command(commands, "features", "Print the feature vectors of captures; JSON Lines.", _features)
    vectors.add_argument("files", nargs="+", type=Path, metavar="FILE")
    vectors.add_argument("--parquet", type=Path, metavar="OUT", help="Write a Parquet file instead.")
    add_flags(vectors, "bpf", *_TIMEOUTS)

    show = _command(commands, "show", "Print exactly what would be sent.", _show)
    show.add_argument("files", nargs="*", type=Path, metavar="FILE")
    show.add_argument("--json", action="store_true", help="One JSON object a batch.")
    show.add_argument("--batches", type=int, default=0, metavar="N", help="Stop after this many.")
    _model_flag(show)
    add_flags(show, "iface", "state_dir", "bpf", "threshold", "keep_fraction", "batch_flows")

    doctor = _command(commands, "doctor", "Say what is wrong with this host, and what to do.", _doctor)
    doctor.add_argument("--json", action="store_true", help="One JSON object a finding.")
    _model_flag(doctor)
    add_flags(doctor, "iface", "state_dir", "aggregator", "bpf", "spool_max_mib", "buffer_mib")

    bench = _command(commands, "bench", "Measure how fast this host meters and scores captures.", _bench)
    bench.add_argument("files", nargs="+", type=Path, metavar="FILE")
    bench.add_argument("--json", action="store_true", help="One JSON object.")
    bench.add_argument("--rounds", type=int, default=3, metavar="N", help="Rounds; the best one counts. Default: 3.")
    _model_flag(bench)
    add_flags(bench, "state_dir", *_TIMEOUTS)
    return parser


def _command(commands: argparse._SubParsersAction, name: str, text: str, run: object) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument("--config", type=Path, metavar="FILE", help="Configuration file (TOML).")
    return command


def _model_flag(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", metavar="FILE", help="Model file. Default: the one installed in the state directory."
    )


def _run(arguments: argparse.Namespace) -> int:
    import random
    import secrets
    import signal
    import socket

    from agent.clock import SystemClock
    from agent.supervisor import make_supervisor

    config = from_arguments(arguments)
    replay = tuple(arguments.replay or ())
    require_source(config, replay)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    supervisor = make_supervisor(
        config,
        replay=replay,
        pace=arguments.pace,
        wait_model_s=arguments.wait_model,
        hostname=socket.gethostname(),
        suffix=lambda: secrets.token_hex(2),
        chance=random.random,
        clock=SystemClock(),
        patience=SystemClock(),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    return supervisor.run()


def _score(arguments: argparse.Namespace) -> int:
    from agent import offline

    config = from_arguments(arguments)
    offline.score(
        arguments.files,
        _require_scorer(config),
        sys.stdout,
        bpf=config.bpf,
        threshold=config.threshold,
        promised_fpr=config.promised_fpr,
    )
    return ExitCode.OK


def _features(arguments: argparse.Namespace) -> int:
    from agent import offline

    config = from_arguments(arguments)
    if arguments.parquet:
        rows = offline.write_parquet(arguments.files, config.profile(), arguments.parquet, config.bpf)
        print(f"{rows} rows in {arguments.parquet}", file=sys.stderr)
    else:
        offline.write_features(arguments.files, config.profile(), sys.stdout, config.bpf)
    return ExitCode.OK


def _show(arguments: argparse.Namespace) -> int:
    from agent import show
    from agent.meter import FileSource, LiveSource
    from agent.policy import initial_policy, read_policy
    from agent.state import StateDir

    config = from_arguments(arguments)
    require_source(config, arguments.files)
    # The policy of a running agent applies, unless the command line says otherwise.
    overruled = arguments.keep_fraction is not None
    kept = None if overruled else read_policy(StateDir(config.state_dir).policy)
    sources: list[FileSource | LiveSource] = [FileSource(file, config.bpf) for file in arguments.files]
    sources = sources or [LiveSource(config.iface, config.bpf, promiscuous=config.promiscuous)]
    show.show(
        config,
        kept or initial_policy(config),
        sources,
        _scorer(config),
        as_json=arguments.json,
        most_batches=arguments.batches,
    )
    return ExitCode.OK


def _doctor(arguments: argparse.Namespace) -> int:
    from agent import doctor

    findings = doctor.examine(from_arguments(arguments))
    for finding in findings:
        print(json.dumps(doctor.as_dict(finding)) if arguments.json else doctor.readable(finding))
    return doctor.verdict(findings)


def _bench(arguments: argparse.Namespace) -> int:
    from agent import bench
    from agent.clock import SystemClock

    config = from_arguments(arguments)
    scorer = _scorer(config)
    profile = scorer.manifest.profile if scorer else config.profile()
    figures = bench.measure(
        arguments.files, profile, scorer, rounds=max(1, arguments.rounds), monotonic=SystemClock().monotonic
    )
    print(json.dumps(bench.as_dict(figures)) if arguments.json else bench.readable(figures))
    return ExitCode.OK


def _scorer(config: AgentConfig) -> Scorer | None:
    """The model of `--model`, else the installed one, else None. Raises `ModelRefused`."""
    from agent.scorer import Scorer
    from agent.state import StateDir

    if config.model is not None:
        return Scorer(config.model)
    current = StateDir(config.state_dir).current
    return Scorer(current) if current.exists() else None


def _require_scorer(config: AgentConfig) -> Scorer:
    scorer = _scorer(config)
    if scorer is None:
        raise ConfigError(
            f"no model: give one with --model, or name the state directory of an agent that has one "
            f"({config.state_dir} has none)"
        )
    return scorer


if __name__ == "__main__":
    raise SystemExit(main())
