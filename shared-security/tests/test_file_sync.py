"""Files are durable on every platform: with the calls that this platform has, and with those of macOS."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from security_common.private_files import sync_descriptor, sync_directory, write_once

F_FULLFSYNC = 51
"""Its value on macOS."""


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the calls that synced something, in order."""
    calls: list[str] = []
    for name in ("fsync", "fdatasync"):

        def record(descriptor: int, name: str = name) -> None:
            os.fstat(descriptor)
            calls.append(name)

        monkeypatch.setattr(os, name, record, raising=False)
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    return calls


def use_full_sync(monkeypatch: pytest.MonkeyPatch, synced: list[str], error: int | None = None) -> None:
    """Makes the module `fcntl` look like that of macOS. With `error` the call fails."""

    def full_sync(_descriptor: int, command: int) -> None:
        assert command == F_FULLFSYNC
        if error is not None:
            raise OSError(error, os.strerror(error))
        synced.append("F_FULLFSYNC")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", F_FULLFSYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full_sync)


def sync_new_file(path: Path) -> None:
    with path.open("w") as file:
        sync_descriptor(file.fileno())


def test_linux_syncs_files_with_fdatasync_and_directories_with_fsync(tmp_path: Path, synced: list[str]) -> None:
    sync_new_file(tmp_path / "file")
    sync_directory(tmp_path)
    assert synced == ["fdatasync", "fsync"]


def test_a_platform_without_fdatasync_uses_fsync(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fdatasync")
    assert write_once(tmp_path / "key", lambda: "secret")
    assert synced == ["fsync", "fsync"]


def test_macos_empties_the_cache_of_the_drive(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fdatasync")
    use_full_sync(monkeypatch, synced)
    assert write_once(tmp_path / "key", lambda: "secret")
    assert synced == ["F_FULLFSYNC", "F_FULLFSYNC"]


@pytest.mark.parametrize("error", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_a_file_system_without_full_sync_uses_fsync(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    use_full_sync(monkeypatch, synced, error)
    sync_new_file(tmp_path / "file")
    assert synced == ["fsync"]


def test_a_failed_full_sync_is_an_error(tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second sync after a failed one proves nothing."""
    use_full_sync(monkeypatch, synced, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_new_file(tmp_path / "file")
    assert synced == []
