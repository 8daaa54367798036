"""Writes files that only their owner can read, such as keys. They are complete on disk before they have their name."""

import errno
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "make_private_directory",
    "replace_file",
    "sync_descriptor",
    "sync_directory",
    "sync_file",
    "write_new",
    "write_once",
]

_WITHOUT_FULL_SYNC = frozenset({errno.ENOTSUP, errno.EINVAL, errno.ENOTTY})
"""The errors of F_FULLFSYNC on a file system that does not have it, such as SMB."""


def write_new(path: Path, text: str) -> None:
    """Writes a new file. Raises FileExistsError if it exists, or another OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        sync_descriptor(file.fileno())


def write_once(path: Path, content: Callable[[], str]) -> bool:
    """Writes the file unless it exists; returns whether it did. Safe when two processes do it at the same time.

    The file and its name are on disk when this returns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = _draft_path(path)
    write_new(draft, content() + "\n")
    try:
        os.link(draft, path)  # fails if the file exists; a rename would replace it
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_directory(path.parent)
    return True


def replace_file(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Writes the file, or replaces it: a reader finds the former text or the new one, never a part. Raises OSError."""
    draft = _draft_path(path)
    try:
        write_new(draft, text)
        draft.chmod(mode)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def make_private_directory(directory: Path) -> None:
    """Creates a directory with mode 700. Missing parents get the mode of the umask."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable: the sync of a file does not include its directory entry."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Not fdatasync: on ext4 it leaves out the change of a directory whose size stays the same.
        _sync(descriptor, os.fsync)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes the content of a file durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Makes the content of an open file durable. Every file is synced by this function. Raises OSError."""
    _sync(descriptor, getattr(os, "fdatasync", os.fsync))  # macOS has no fdatasync


def _sync(descriptor: int, sync: Callable[[int], None]) -> None:
    """Calls F_FULLFSYNC on macOS, where fsync does not empty the cache of the drive, and `sync` elsewhere."""
    full_sync: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is None:
        sync(descriptor)
        return
    try:
        fcntl.fcntl(descriptor, full_sync)
    except OSError as error:
        if error.errno not in _WITHOUT_FULL_SYNC:
            raise
        os.fsync(descriptor)


def _draft_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")
