"""Remote files: https by our own client, object storage and the rest through fsspec, into a local file of bounded size.

- Only named schemes are fetched. `file`, `memory` and the like are never among them unless somebody says so.
- A web address is resolved once, every address of it is checked (addresses.py), and the connection goes to the checked
  one: a name that changes its mind in between changes nothing. Every redirect is checked the same way.
- Bytes are counted as they come; a server's word for the size is only good for refusing early.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from trainer.errors import DatasetRefused, SettingsUnusable, SourceUnreachable
from trainer.workbench.datasets import addresses
from trainer.workbench.datasets.limits import MIB, Limits, check_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_URL: Final = re.compile(r"^[a-z][a-z0-9+.:-]*://", re.IGNORECASE)
_WEB: Final = frozenset({"http", "https"})
_HOSTED: Final = frozenset({"ftp", "sftp", "ssh", "smb", "webhdfs", "hdfs", "webdav"})
_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SECONDS: Final = 30.0
_BLOCK: Final = MIB
_NEEDS: Final = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A remote file that is here now. `what` is its address without secrets, `name` the file's own name."""

    path: Path
    name: str
    what: str


def is_url(source: str) -> bool:
    """Whether a source is an address rather than a path."""
    return bool(_URL.match(source))


def fetch(
    url: str,
    target: Path,
    limits: Limits,
    schemes: Sequence[str],
    allow_loopback: bool,
    lookup: Callable[[str, int], list[str]] = addresses.lookup,
) -> Fetched:
    """Bring the file at `url` to `target`. Raises `SettingsUnusable`, `SourceUnreachable`, `DatasetRefused`."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in schemes or "::" in url:
        raise SettingsUnusable(
            f"fetching {shown(url)}: {scheme}:// addresses are not allowed here; allowed are {', '.join(schemes)}"
        )
    name = PurePosixPath(unquote(parts.path)).name or (parts.hostname or scheme)
    if scheme in _WEB:
        _from_web(url, target, name, limits, schemes, allow_loopback, lookup)
    else:
        if scheme in _HOSTED and parts.hostname:
            addresses.resolve(parts.hostname, parts.port or 0, allow_loopback=allow_loopback, lookup=lookup)
        _from_storage(url, scheme, target, name, limits)
    return Fetched(target, name, shown(url))


def shown(url: str) -> str:
    """The address without user, password and query, any of which may be a secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _from_web(
    url: str,
    target: Path,
    name: str,
    limits: Limits,
    schemes: Sequence[str],
    allow_loopback: bool,
    lookup: Callable[[str, int], list[str]],
) -> None:
    import httpx

    with httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client:
        try:
            for _hop in range(_HOPS + 1):
                request = _request(client, url, allow_loopback, lookup)
                answer = client.send(request, stream=True)
                try:
                    if answer.status_code in _REDIRECTS and "location" in answer.headers:
                        url = _next(url, answer.headers["location"], schemes)
                        continue
                    if not answer.is_success:
                        raise SourceUnreachable(
                            f"fetching {shown(url)}: the server answered {answer.status_code} {answer.reason_phrase}; "
                            "check the address and whether it may be read without signing in"
                        )
                    declared = answer.headers.get("content-length", "")
                    check_bytes(int(declared) if declared.isdecimal() else 0, name, limits)
                    # The file as it lies there: what the server packed for the way is unpacked by httpx, and counted.
                    _save(answer.iter_bytes(_BLOCK), target, name, limits)
                    return
                finally:
                    answer.close()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise SourceUnreachable(
                f"fetching {shown(url)}: {error or type(error).__name__}; check the address"
            ) from error
    raise SourceUnreachable(f"fetching {shown(url)}: it leads on more than {_HOPS} times; give the final address")


def _request(client: Any, url: str, allow_loopback: bool, lookup: Callable[[str, int], list[str]]) -> Any:
    """A request that goes to a checked address, under the name that was asked for."""
    import httpx

    parsed = httpx.URL(url)
    if not parsed.host:
        raise SourceUnreachable(f"fetching {shown(url)}: there is no host in it; check the address")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    found = addresses.resolve(parsed.host, port, allow_loopback=allow_loopback, lookup=lookup)
    # netloc is the host as HTTP names it, without user and password.
    headers = {
        "Host": parsed.netloc.decode("ascii"),
        "Accept-Encoding": "identity",
        "User-Agent": "anomaflow-workbench",
    }
    extensions = {"sni_hostname": parsed.host} if parsed.scheme == "https" else {}
    return client.build_request("GET", parsed.copy_with(host=found[0]), headers=headers, extensions=extensions)


def _next(url: str, location: str, schemes: Sequence[str]) -> str:
    onward = urljoin(url, location)
    before, after = urlsplit(url).scheme.lower(), urlsplit(onward).scheme.lower()
    if after not in _WEB or after not in schemes or (before == "https" and after == "http"):
        raise SourceUnreachable(
            f"fetching {shown(url)}: it leads to {shown(onward)}, and {after}:// is not followed from here; "
            "give the final address"
        )
    return onward


def _from_storage(url: str, scheme: str, target: Path, name: str, limits: Limits) -> None:
    import fsspec

    try:
        with fsspec.open(url, "rb") as source:
            _save(iter(lambda: source.read(_BLOCK), b""), target, name, limits)
    except ImportError as error:
        needed = _NEEDS.get(scheme)
        raise SourceUnreachable(
            f"fetching {shown(url)}: what reads {scheme}:// is not installed"
            + (f"; install {needed} beside Anomaflow" if needed else f" ({error})")
        ) from error
    except DatasetRefused:
        raise
    except FileNotFoundError as error:
        raise SourceUnreachable(f"fetching {shown(url)}: there is no such file; check the address") from error
    except Exception as error:  # every storage library has its own tree
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceUnreachable(f"fetching {shown(url)}: {text}; check address and rights") from error


def _save(blocks: Iterable[bytes], target: Path, name: str, limits: Limits) -> None:
    count = 0
    with target.open("wb") as out:
        for block in blocks:
            count += len(block)
            check_bytes(count, name, limits)
            out.write(block)
