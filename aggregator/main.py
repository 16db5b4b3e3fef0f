"""`anomaflow-aggregator`: parse, build, run. Exit codes are those of protos/exits.py.

The only place of the aggregator that knows about arguments, signals, standard streams and logging.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.appearing import appearing
from aggregator.clock import SystemClock
from aggregator.config import PREFIX, AggregatorConfig, require_loopback
from aggregator.errors import AggregatorError, Invalid, StateError
from protos import settings
from protos.exits import ExitCode
from protos.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregator.serving import Addresses


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("uvicorn.error", "asyncio", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        return int(options.command(options, _config(options)))
    except settings.ConfigError as error:
        return _fail(error, ExitCode.CONFIG)
    except AggregatorError as error:
        return _fail(error, error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)


# --- commands ------------------------------------------------------------------------------------------------------


def init(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Create the state directory, the first administrator and a token."""
    from aggregator.founding import found

    made = found(
        config,
        SystemClock(),
        admin=options.admin,
        password=_password(options, generated=True),
        token_file=options.token_file,
    )
    described = {"state_dir": str(config.state_dir), "admin": made.admin, "token_file": str(made.token_file)}
    if options.json:
        print(json.dumps({**described, "password": made.password}))
        return ExitCode.OK
    print(f"state directory  {config.state_dir}")
    print(f"administrator    {made.admin}")
    if made.password is not None:
        print(f"password         {made.password}    (shown only now)")
    print(f"token            in {made.token_file}, for the `anomaflow` client")
    print("next             anomaflow-aggregator run --state-dir " + str(config.state_dir))
    return ExitCode.OK


def run(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Serve agents and browsers until told to stop."""
    require_loopback(config.grpc_host, "grpc_host")
    require_loopback(config.web_host, "web_host")
    from aggregator.serving import opened, serve

    def ready(addresses: Addresses) -> None:
        if options.ready_file:
            _write_ready(options.ready_file, addresses)
        print(f"console and REST on {addresses.web}, agents on {addresses.grpc}", flush=True)

    async def running() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with opened(config, SystemClock()) as services:
            await serve(services, stop, ready)

    asyncio.run(running())
    return ExitCode.OK


def token(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Create, list or revoke API tokens."""
    from aggregator import users
    from aggregator.founding import write_secret
    from aggregator.rows import as_json

    clock = SystemClock()
    with _store(config) as store:
        if options.verb == "add":
            created, text = store.write_now(
                lambda db: users.add_token(
                    db,
                    user=options.user,
                    name=options.name,
                    scope=options.scope,
                    days=options.days,
                    by="command",
                    now_ms=clock.now_ms(),
                )
            )
            write_secret(options.token_file, text)
            print(f"token {created.id} of {created.user} ({created.scope}) is in {options.token_file}")
        elif options.verb == "revoke":
            revoked = store.write_now(
                lambda db: users.revoke_token(db, options.id, owner=None, by="command", now_ms=clock.now_ms())
            )
            print(f"token {revoked.id} ({revoked.name}) of {revoked.user} is revoked")
        else:
            _show(as_json(store.read(lambda db: users.tokens(db, owner=None))), options)
    return ExitCode.OK


def user(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Create, change or list accounts."""
    from aggregator import users
    from aggregator.rows import as_json
    from aggregator.web.access import Access

    with _store(config) as store:
        access = Access(store, SystemClock(), config)
        if options.verb == "list":
            _show(as_json(store.read(users.find)), options)
            return ExitCode.OK
        if options.verb == "add":
            given = _password(options, generated=False)
            done = asyncio.run(
                access.add_user(name=options.name, role=options.role, password=given or "", by="command")
            )
        else:
            wants_password = options.password_file is not None
            done = asyncio.run(
                access.change_user(
                    options.name,
                    role=options.role,
                    disabled=options.disabled,
                    password=_password(options, generated=False) if wants_password else None,
                    by="command",
                )
            )
        print(f"user {done.name} is {done.role}" + (" and disabled" if done.disabled else ""))
    return ExitCode.OK


def backup(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Write a consistent copy of database, models, and the listing of flow files."""
    from aggregator import backups

    made = backups.backup(config, SystemClock(), options.target, flows=options.flows, workbench=options.workbench)
    print(f"backup in {options.target}: {len(made['files'])} files, {len(made['flow_files'])} flow files listed")
    return ExitCode.OK


def restore(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Bring a backup into the state directory."""
    from aggregator import backups

    made = backups.restore(config, options.source, force=options.force)
    print(f"restored {len(made['files'])} files into {config.state_dir}")
    return ExitCode.OK


def check(options: argparse.Namespace, config: AggregatorConfig) -> int:
    """Verify database, cursors, models, audit log and flow files."""
    from aggregator import backups

    problems = backups.check(config)
    if options.json:
        print(json.dumps({"problems": problems}))
    else:
        print("\n".join(problems) or "all is well")
    return ExitCode.STATE if problems else ExitCode.OK


# --- arguments -----------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anomaflow-aggregator", description="Where all agents meet and a person looks."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, function: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        made.set_defaults(command=function)
        made.add_argument("--config", type=Path, metavar="FILE", help="configuration file (TOML)")
        made.add_argument("--state-dir", type=Path, metavar="DIR", help="directory of database, flows and models")
        made.add_argument("--verbose", action="store_true", help="log more")
        return made

    made = command("init", init)
    made.add_argument("--admin", default="admin", metavar="NAME", help="name of the administrator (default: admin)")
    _add_password(made, "password of the administrator; without it one is made and shown once")
    made.add_argument("--token-file", type=Path, metavar="FILE", help="where to put the token (default: in state_dir)")
    made.add_argument("--json", action="store_true", help="answer in JSON")

    made = command("run", run)
    made.add_argument("--ready-file", type=Path, metavar="FILE", help="write the addresses there (JSON) when listening")
    for name in ("grpc_host", "grpc_port", "web_host", "web_port"):
        made.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=_sentence(name))

    made = command("token", token)
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    verb = verbs.add_parser("add", help="create a token")
    verb.add_argument("--user", required=True, help="whose rights it has")
    verb.add_argument("--name", required=True, help="what it is for")
    verb.add_argument("--scope", choices=("read", "write"), default="read")
    verb.add_argument("--days", type=int, default=90, help="how long it lives (default: 90)")
    verb.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="where to put it (mode 0600)")
    verbs.add_parser("list", help="show tokens").add_argument("--json", action="store_true")
    verbs.add_parser("revoke", help="make a token useless").add_argument("id", type=int)

    made = command("user", user)
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("list", help="show accounts").add_argument("--json", action="store_true")
    for name, text in (("add", "create an account"), ("change", "change an account; its sessions end")):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("name")
        roles = ("viewer", "analyst", "operator", "admin")
        verb.add_argument("--role", choices=roles, default="viewer" if name == "add" else None)
        _add_password(verb, "its password", required=name == "add")
        if name == "change":
            verb.add_argument("--disable", dest="disabled", action="store_const", const=True, help="no login any more")
            verb.add_argument("--enable", dest="disabled", action="store_const", const=False, help="login again")

    made = command("backup", backup)
    made.add_argument("target", type=Path, help="a new folder, or a file that ends in .tar or .tar.gz")
    made.add_argument("--flows", action="store_true", help="include the flow files, not only their listing")
    made.add_argument("--workbench", action="store_true", help="include the workbench's tables, models and predictions")
    made = command("restore", restore)
    made.add_argument("source", type=Path, help="what backup made")
    made.add_argument("--force", action="store_true", help="replace the database that is there (kept as .old)")
    made = command("check", check)
    made.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def _add_password(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        required=required,
        help=f"{text}: the first line of FILE, or of standard input when FILE is -",
    )


def _password(options: argparse.Namespace, *, generated: bool) -> str | None:
    if options.password_file is None:
        if generated:
            return None
        raise Invalid("give --password-file FILE, or - for standard input; a password is never an argument")
    try:
        text = (
            sys.stdin.readline()
            if options.password_file == "-"  # noqa: S105 - means standard input
            else Path(options.password_file).read_text(encoding="utf-8").partition("\n")[0]
        )
    except OSError as error:
        raise Invalid(f"reading the password from {options.password_file}: {error.strerror}") from error
    return text.rstrip("\r\n")


def _config(options: argparse.Namespace) -> AggregatorConfig:
    names = ("state_dir", "grpc_host", "grpc_port", "web_host", "web_port")
    return settings.load(
        AggregatorConfig,
        path=options.config,
        environ=os.environ,
        prefix=PREFIX,
        flags={name: getattr(options, name, None) for name in names},
    )


def _sentence(name: str) -> str:
    return next(sentence for known, _, sentence in settings.describe(AggregatorConfig) if known == name)


def _store(config: AggregatorConfig) -> Any:
    """The store for a short command, beside a running aggregator if there is one."""
    import contextlib

    from aggregator.storage.store import Store

    if not config.database.exists():
        raise StateError(f"there is no aggregator in {config.state_dir}; run `anomaflow-aggregator init` first")
    return contextlib.closing(Store(config.database, checkpoint_pages=0).open())


def _show(answer: dict[str, Any], options: argparse.Namespace) -> None:
    from aggregator.cli.tables import table

    print(json.dumps(answer, indent=1) if options.json else table(answer["items"]))


def _write_ready(path: Path, addresses: Addresses) -> None:
    with appearing(path) as beside:
        beside.write_text(json.dumps({"grpc": addresses.grpc, "web": addresses.web}), encoding="utf-8")


def _fail(error: Exception, code: ExitCode) -> int:
    print(f"anomaflow-aggregator: {error}", file=sys.stderr)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
