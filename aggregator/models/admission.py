"""What a model file must pass before the registry keeps it: size, digest, a capped child process, a fitting report."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from aggregator.appearing import appearing, sync_folder
from aggregator.errors import ModelRefused

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.config import AggregatorConfig

MAX_REPORT: Final = 16 << 20


def take(source: Path, copy: Path, *, cap_mib: int) -> str:
    """Copy at most `cap_mib` of a file; returns its SHA-256. Raises `ModelRefused` when it is larger or missing."""
    cap = cap_mib << 20
    try:
        with source.open("rb") as reader, copy.open("wb") as writer:
            data = reader.read(cap + 1)
            writer.write(data)
    except FileNotFoundError:
        raise ModelRefused(f"there is no model file {source}") from None
    if len(data) > cap:
        raise ModelRefused(f"the model is larger than max_model_mib = {cap_mib}")
    return hashlib.sha256(data).hexdigest()


async def prove(path: Path, config: AggregatorConfig) -> dict[str, Any]:
    """Run modelcheck.py on the file; returns the manifest. Raises `ModelRefused`."""
    limits = (str(config.modelcheck_memory_mib), str(config.modelcheck_seconds))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "aggregator.models.modelcheck",
        str(path),
        *limits,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=path.parent,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), config.modelcheck_seconds * 3 + 30)
    except TimeoutError:
        out = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        answer = json.loads(out)
    except ValueError:
        raise ModelRefused(
            "the model's self-test did not end within its limits (modelcheck_seconds = "
            f"{config.modelcheck_seconds}, modelcheck_memory_mib = {config.modelcheck_memory_mib})"
        ) from None
    if "refused" in answer:
        raise ModelRefused(f"the model was refused: {answer['refused']}")
    return dict(answer["manifest"])


def keep(copy: Path, folder: Path, digest: str, summary: bytes) -> None:
    """Make model and report appear in `folder` under the digest, and stay there through a power cut."""
    if summary:
        with appearing(folder / f"{digest}.report.json") as beside:
            beside.write_bytes(summary)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    copy.replace(folder / f"{digest}.onnx")
    sync_folder(folder)


def read_report(report: Path | None, digest: str) -> tuple[bytes, bool | None]:
    """The report's bytes and whether its gate passed. Raises `ModelRefused` for a report of something else."""
    if report is None:
        return b"", None
    try:
        if report.stat().st_size > MAX_REPORT:
            raise ModelRefused(f"its report is larger than {MAX_REPORT >> 20} MiB")
        data = report.read_bytes()
        parsed = json.loads(data)
        gate = parsed.get("gate")
        described = parsed.get("model_digest", digest)
        passed = None if gate is None else bool(gate["passed"])
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ModelRefused(f"its report cannot be read ({type(error).__name__}: {error})") from error
    if described != digest:
        raise ModelRefused(f"its report is about model {str(described)[:12]}, not {digest[:12]}")
    return data, passed


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
