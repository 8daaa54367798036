"""Which files a backup contains, and how much of those that a running process appends to."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from security_common.audit.event_index import INDEX_FOLDER
from security_common.audit.segment_files import open_segments
from security_common.errors import SecurityError

__all__ = ["AppendOnlyFileMissing", "CopiedFile", "audit_files", "redis_files", "secret_files"]

_CHECKPOINTS = "checkpoints.jws"
_LOCK = "lock"
_ATTEMPTS = 10
_READ_BYTES = 64 * 1024


class AppendOnlyFileMissing(SecurityError):
    """The folder of Redis has no append-only file that can be copied."""

    error = "append_only_file_missing"


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """An open file. `name` is its path below its part, with slashes; only the first `size` bytes are copied."""

    name: str
    source: BinaryIO
    size: int
    mode: int


def redis_files(folder: Path) -> Iterator[CopiedFile]:
    """The append-only file of Redis 7 or newer, with its manifest, as it is now. Raises `AppendOnlyFileMissing`.

    Redis only appends to the newest of its files, and an incomplete command at the end is ignored when it starts. A
    rewrite replaces files and then the manifest: the files are opened before it is read for the second time.
    """
    manifest = next(iter(sorted(folder.glob("*/*.manifest"))), None)
    if manifest is None:
        raise AppendOnlyFileMissing(
            f"{folder} has no append-only file", hint="name the `dir` of a Redis with appendonly yes"
        )
    for _ in range(_ATTEMPTS):
        with ExitStack() as opened:
            listed = opened.enter_context(manifest.open("rb"))
            content = listed.read()
            names = _files_of_manifest(content)
            try:
                paths = [manifest.parent / name for name in names]
                files = [_file(path, opened.enter_context(path.open("rb")), folder) for path in paths]
            except FileNotFoundError:
                continue
            if manifest.read_bytes() != content:
                continue
            yield from files
            listed.seek(0)
            yield _file(manifest, listed, folder)
            return
    raise AppendOnlyFileMissing(f"{manifest} changes all the time", hint="try again")


def audit_files(folder: Path) -> Iterator[CopiedFile]:
    """Everything in the audit folder of one service or of several.

    Locks and links are left out, and so is the index, which is built again from the stream and the journals.
    """
    directories = sorted(path for path in folder.rglob("*") if path.is_dir() and path.name != INDEX_FOLDER)
    for directory in [folder, *directories]:
        with ExitStack() as opened:
            # A checkpoint must not state more lines than the copy of the journal has.
            for path in sorted(_other_files(directory), key=lambda path: path.name != _CHECKPOINTS):
                source = opened.enter_context(path.open("rb"))
                yield _file(path, source, folder, only_lines=path.name == _CHECKPOINTS)
            for path, source in open_segments(directory):
                yield _file(path, opened.enter_context(source), folder, only_lines=True)


def secret_files(folder: Path) -> Iterator[CopiedFile]:
    """Every regular file of the folder and of the folders below it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as source:
                yield _file(path, source, folder)


def _files_of_manifest(content: bytes) -> list[str]:
    """The base and the increments, in this order; not those that a rewrite has replaced (type h)."""
    fields = (line.split() for line in content.decode("ascii").splitlines() if line.strip())
    entries = (dict(zip(field[::2], field[1::2], strict=True)) for field in fields)
    return [entry["file"] for entry in entries if entry["type"] in {"b", "i"}]


def _other_files(folder: Path) -> list[Path]:
    """The files of a folder that are not segments of a journal."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    return [path for path in files if path.name != _LOCK and path.suffix != ".log"]


def _file(path: Path, source: BinaryIO, folder: Path, *, only_lines: bool = False) -> CopiedFile:
    """The file as long as it is now, or with `only_lines` up to the end of its last complete line."""
    status = os.fstat(source.fileno())
    size = status.st_size
    if only_lines:
        size = _end_of_last_line(source, size)
        source.seek(0)
    return CopiedFile(path.relative_to(folder).as_posix(), source, size, status.st_mode & 0o777)


def _end_of_last_line(source: BinaryIO, size: int) -> int:
    """The offset of the byte after the last line feed within the first `size` bytes; 0 if there is none."""
    end = size
    while end > 0:
        start = max(0, end - _READ_BYTES)
        source.seek(start)
        found = source.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
