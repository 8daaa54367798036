"""The archive of a backup: a gzip-compressed tar file with the parts, and the digests of all files at its end."""

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, ClassVar

from security_common.backup.copied_files import CopiedFile, audit_files, redis_files, secret_files
from security_common.errors import SecurityError
from security_common.private_files import sync_descriptor, sync_directory

__all__ = ["PARTS", "Backup", "BackupInvalid", "has_files", "read_backup", "restore_backup", "write_backup"]

_FORMAT = 1
_SUMMARY = "backup.json"
_READ_BYTES = 1024 * 1024
_INCOMPLETE_HINT = "use an archive that was written to its end"

PARTS: Mapping[str, Callable[[Path], Iterator[CopiedFile]]] = {
    "redis": redis_files,
    "audit": audit_files,
    "secrets": secret_files,
}
"""What a backup consists of, in the order in which it is copied."""


class BackupInvalid(SecurityError):
    """An archive is incomplete or damaged, or cannot be restored to a folder."""

    error: ClassVar[str] = "backup_invalid"


@dataclass(frozen=True, slots=True)
class Backup:
    """What an archive contains: when it was begun (ISO 8601), and the SHA-256 of each file by its name."""

    created: str
    digests: Mapping[str, str]

    @property
    def parts(self) -> frozenset[str]:
        """The parts of which it has files."""
        return frozenset(name.partition("/")[0] for name in self.digests)


def write_backup(target: BinaryIO, folders: Mapping[str, Path], *, earlier: BinaryIO | None = None) -> Backup:
    """Writes an archive of these folders, by part, to a stream that need not support seeking.

    The parts of an `earlier` archive are copied to it first.

    Raises:
        AppendOnlyFileMissing: the folder of Redis has no append-only file.
        BackupInvalid: the earlier archive is incomplete or damaged.
        OSError: a folder cannot be read, or the stream cannot be written.

    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    digests: dict[str, str] = {}
    with tarfile.open(fileobj=target, mode="w|gz", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, mode: int, size: int, source: IO[bytes]) -> str:
            hashed = _HashedPart(source, size)
            archive.addfile(_member(name, size, mode), hashed)
            return hashed.digest.hexdigest()

        if earlier is not None:
            copied = _read_archive(earlier, lambda member, content: add(member.name, member.mode, member.size, content))
            created = copied.created
            digests.update(copied.digests)
        for part, files_of in PARTS.items():
            if part in folders:
                for file in files_of(folders[part]):
                    name = f"{part}/{file.name}"
                    digests[name] = add(name, file.mode, file.size, file.source)
        summary = json.dumps({"format": _FORMAT, "created": created, "files": digests}, indent=1).encode()
        archive.addfile(_member(_SUMMARY, len(summary), 0o600), io.BytesIO(summary))
    return Backup(created, digests)


def read_backup(source: BinaryIO) -> Backup:
    """Reads a whole archive and compares every file with its digest. Raises `BackupInvalid`."""
    return _read_archive(source, lambda _, content: _copy(content, None))


def restore_backup(source: BinaryIO, folders: Mapping[str, Path]) -> Backup:
    """Writes the parts of an archive to these folders; parts without a folder are left out.

    If the archive turns out to be damaged or incomplete, or the disk is full, what was written is removed. Raises
    `BackupInvalid`, also if a folder has files already or the archive has nothing for it, and `OSError`.
    """
    for part, folder in folders.items():
        if has_files(folder):
            raise BackupInvalid(f"{folder} is not empty", hint=f"move its files away, and restore {part} again")
    written: list[Path] = []

    def write(member: tarfile.TarInfo, content: IO[bytes]) -> str:
        part, _, name = member.name.partition("/")
        if part not in folders:
            return _copy(content, None)
        path = folders[part] / name
        written.append(path)
        return _write_file(path, content, member.mode)

    try:
        backup = _read_archive(source, write)
        _require_parts(backup, folders)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return backup


def has_files(folder: Path) -> bool:
    """Whether there is a file in the folder or in one below it; false if it does not exist."""
    return any(path.is_file() for path in folder.rglob("*"))


def _require_parts(backup: Backup, folders: Mapping[str, Path]) -> None:
    missing = sorted(folders.keys() - backup.parts)
    if missing:
        raise BackupInvalid(f"the archive has no {' and no '.join(missing)}", hint="restore only what it has")


def _read_archive(source: BinaryIO, handle: Callable[[tarfile.TarInfo, IO[bytes]], str]) -> Backup:
    """Calls `handle` for each file, which reads it and returns its digest, and compares the digests at the end.

    Raises `BackupInvalid` for an archive that is incomplete, damaged, or has files that no backup contains.
    """
    summary: dict[str, Any] | None = None
    found: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or not _is_expected(member.name):
                    raise BackupInvalid(f"{member.name} does not belong in a backup", hint="use another archive")
                if member.name == _SUMMARY:
                    summary = json.loads(content.read())
                else:
                    found[member.name] = handle(member, content)
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise BackupInvalid("this is not a complete backup", hint=_INCOMPLETE_HINT) from error
    if summary is None:
        raise BackupInvalid("the archive is incomplete", hint=_INCOMPLETE_HINT)
    if summary["format"] != _FORMAT:
        raise BackupInvalid(f"the archive has format {summary['format']}", hint="use the release that wrote it")
    expected = summary["files"]
    if expected != found:
        differing = min(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        raise BackupInvalid(f"{differing} is damaged or missing in the archive", hint="use another backup")
    return Backup(summary["created"], found)


def _write_file(path: Path, content: IO[bytes], mode: int) -> str:
    """Writes a new file, which is on disk when this returns, and returns its digest.

    If other users may read it, they may enter its folder.
    """
    _make_private_folder(path.parent)
    if mode & 0o004:
        path.parent.chmod(0o755)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        digest = _copy(content, file)
        file.flush()
        os.fchmod(descriptor, mode & 0o777)
        sync_descriptor(descriptor)
    sync_directory(path.parent)
    return digest


def _copy(content: IO[bytes], target: IO[bytes] | None) -> str:
    """Reads everything, writes it to the target if there is one, and returns its digest."""
    digest = hashlib.sha256()
    part = content.read(_READ_BYTES)
    while part:
        digest.update(part)
        if target is not None:
            target.write(part)
        part = content.read(_READ_BYTES)
    return digest.hexdigest()


def _make_private_folder(folder: Path) -> None:
    """Creates a folder and those above it that do not exist, for the owner only."""
    if not folder.is_dir():
        _make_private_folder(folder.parent)
        folder.mkdir(mode=0o700)


def _is_expected(name: str) -> bool:
    """Whether it is the name of a file of a part, below its folder."""
    path = PurePosixPath(name)
    is_below = len(path.parts) > 1 and path.parts[0] in PARTS and ".." not in path.parts
    return name == _SUMMARY or (is_below and str(path) == name)


def _member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = mode
    return member


class _HashedPart(io.RawIOBase):
    """Reads the first bytes of a file, and computes their digest."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        super().__init__()
        self._source = source
        self._remaining = size
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._remaining if size < 0 else min(size, self._remaining)
        content = self._source.read(wanted)
        self._remaining -= len(content)
        self.digest.update(content)
        return content
