"""Noun: users, accounts and API tokens."""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.client import ClientError
from aggregator.cli.tables import show, table, when
from protos.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

ROLES = ("viewer", "analyst", "operator", "admin")
COLUMNS = (
    ("name", lambda row: row["name"]),
    ("role", lambda row: row["role"]),
    ("since", lambda row: when(row["created_ms"])),
    ("disabled", lambda row: "yes" if row["disabled"] else "-"),
)


def add_verbs(parsers: Any) -> None:
    """`me`, `list`, `add`, `change`, `tokens`, `token-add`, `token-revoke`, `audit`."""
    verbs.add(parsers, "me", me)
    verbs.add(parsers, "list", list_users)
    made = verbs.add(parsers, "add", add_user)
    made.add_argument("name")
    made.add_argument("--role", choices=ROLES, default="viewer")
    made.add_argument("--password-file", metavar="FILE", help="its first line; - for standard input; else asked for")
    made = verbs.add(parsers, "change", change_user)
    made.add_argument("name")
    made.add_argument("--role", choices=ROLES)
    made.add_argument("--disable", dest="disabled", action="store_const", const=True, help="no login any more")
    made.add_argument("--enable", dest="disabled", action="store_const", const=False, help="login again")
    made.add_argument("--password-file", metavar="FILE", help="its first line; - for standard input")
    verbs.add(parsers, "tokens", list_tokens)
    made = verbs.add(parsers, "token-add", add_token)
    made.add_argument("name", help="what it is for")
    made.add_argument("--scope", choices=("read", "write"), default="read")
    made.add_argument("--days", type=int, default=90, help="how long it lives (default: 90)")
    made.add_argument("--to", type=Path, required=True, metavar="FILE", help="where to put it (mode 0600)")
    verbs.add(parsers, "token-revoke", revoke_token).add_argument("id", type=int)
    verbs.add_limit(verbs.add(parsers, "audit", list_audit))


def me(client: Client, options: argparse.Namespace) -> None:
    """Who the token says you are."""
    verbs.print_one(client.get("/users/me"), options)


def list_users(client: Client, options: argparse.Namespace) -> None:
    """Accounts (administrators only)."""
    show(client.get("/users")["items"], COLUMNS, as_json=options.json)


def add_user(client: Client, options: argparse.Namespace) -> None:
    """Create an account (administrators only)."""
    password = _password(options.password_file) or getpass.getpass(f"password of {options.name}: ")
    made = client.post("/users", {"name": options.name, "role": options.role, "password": password})
    print(json.dumps(made) if options.json else f"user {made['name']} is {made['role']}")


def change_user(client: Client, options: argparse.Namespace) -> None:
    """Change an account; its sessions end (administrators only)."""
    body = {"role": options.role, "disabled": options.disabled, "password": _password(options.password_file)}
    made = client.patch(f"/users/{options.name}", body)
    state = " and disabled" if made["disabled"] else ""
    print(json.dumps(made) if options.json else f"user {made['name']} is {made['role']}{state}")


def list_tokens(client: Client, options: argparse.Namespace) -> None:
    """API tokens: everyone's for an administrator, your own otherwise."""
    rows = client.get("/users/tokens")["items"]
    if options.json:
        show(rows, (), as_json=True)
    else:
        print(table(rows))


def add_token(client: Client, options: argparse.Namespace) -> None:
    """Create an API token for yourself."""
    body = {"name": options.name, "scope": options.scope, "days": options.days}
    created = client.post("/users/tokens", body)
    handle = os.open(options.to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(created["text"] + "\n")
    token = created["token"]
    print(json.dumps(token) if options.json else f"token {token['id']} ({token['scope']}) is in {options.to}")


def revoke_token(client: Client, options: argparse.Namespace) -> None:
    """Make a token useless."""
    token = client.post(f"/users/tokens/{options.id}/revoke")
    print(json.dumps(token) if options.json else f"token {token['id']} ({token['name']}) is revoked")


def list_audit(client: Client, options: argparse.Namespace) -> None:
    """Who did what, newest first (administrators only)."""
    rows = list(client.pages("/users/audit", limit=options.limit))
    if options.json:
        show(rows, (), as_json=True)
    else:
        print(table([{name: value for name, value in row.items() if name != "hash"} for row in rows]))


def _password(source: str | None) -> str | None:
    if source is None:
        return None
    try:
        text = sys.stdin.readline() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise ClientError(f"reading the password from {source}: {error.strerror}", ExitCode.USAGE) from error
    return text.partition("\n")[0].rstrip("\r")
