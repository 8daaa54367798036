"""The slot of a journal: one directory that one process writes, and what a start recovers from it after a crash."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from security_common.audit.journal_line import ChainHead, line_digest, line_is_sealed
from security_common.audit.segment_files import (
    LIVE_NAME,
    MAX_LINE_BYTES,
    SegmentIndex,
    close_live_segment,
    lines_backwards,
)
from security_common.private_files import make_private_directory, sync_descriptor, sync_directory, sync_file
from security_common.settings import SecuritySettings

__all__ = ["MAX_BATCH_EVENTS", "Recovery", "Slot", "link_audit_log", "recover"]

MAX_BATCH_EVENTS = 512
"""How many events one group commit writes at most."""

SEARCHED_BYTES = (MAX_BATCH_EVENTS + 1) * MAX_LINE_BYTES
"""How much of a segment is searched for its last sealed line: the largest group commit, and the line before it."""

READ_BYTES = 4 * 1024 * 1024
"""How much of a segment is in memory during the search."""

CLAIM_ATTEMPTS = 10
CLAIM_PAUSE_SECONDS = 0.01


class Slot:
    """The directory of one writer, locked by this process until `release`."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self.live_path = directory / LIVE_NAME
        self._lock = lock

    @classmethod
    def claim(cls, service_directory: Path) -> Self:
        """Locks the free slot with the lowest number, and creates it if it does not exist.

        A process that ships an idle slot locks it for a moment, so each slot is tried several times.
        """
        number = 0
        while True:
            directory = service_directory / str(number)
            for _ in range(CLAIM_ATTEMPTS):
                slot = cls.claim_idle(directory)
                if slot is not None:
                    return slot
                time.sleep(CLAIM_PAUSE_SECONDS)
            number += 1

    @classmethod
    def claim_idle(cls, directory: Path) -> Self | None:
        """Locks this slot. Returns None if a running process has locked it."""
        make_private_directory(directory)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return cls(directory, lock)

    def release(self) -> None:
        os.close(self._lock)

    def close_live_segment(self) -> None:
        close_live_segment(self.directory)


@dataclass(frozen=True, slots=True)
class Recovery:
    """The state of a slot at start: the last sealed line, the length of the live segment, and the bytes set aside.

    With `other_key` the live segment was written with another chain key: it is not changed, and there is no `head`.
    """

    head: ChainHead | None
    live_bytes: int
    torn_bytes: int
    other_key: bool = False


def recover(slot: Slot, chain_key: bytes) -> Recovery:
    """Finds the last sealed line of a slot and moves the bytes after it to a `.torn` file.

    A crash can damage only the last group commit, so only bytes after the last line with a valid seal are moved. A
    damaged line that is followed by valid ones is not a crash: it stays in place and is reported by `audit verify`. If
    there is no valid seal as far back as the largest group commit can reach, the segment was written with another key,
    and nothing is moved.
    """
    live_bytes = slot.live_path.stat().st_size if slot.live_path.exists() else 0
    head, sealed_bytes = _last_sealed_line(slot.live_path, live_bytes, chain_key)
    index = SegmentIndex(slot.directory)
    if head is None and index.has_live_line():
        return Recovery(None, live_bytes, 0, other_key=True)
    torn_bytes = live_bytes - sealed_bytes
    if torn_bytes:
        _set_aside(slot, sealed_bytes, torn_bytes)
    elif live_bytes:
        # Lines that were written before a crash may not be synced yet; from here on they count as on disk.
        sync_file(slot.live_path)
    if head is None:
        for segment in reversed(index.segments()):
            head, _ = _last_sealed_line(segment.path, segment.path.stat().st_size, chain_key)
            if head is not None:
                break
    return Recovery(head, sealed_bytes, torn_bytes)


def link_audit_log(settings: SecuritySettings, *, service: str, link: Path) -> None:
    """Creates a symbolic link (logs/security_audit.log) to the live segment of slot 0 of the service."""
    target = (settings.audit_dir / service / "0" / LIVE_NAME).absolute()
    link.parent.mkdir(parents=True, exist_ok=True)
    new_link = link.with_name(f".{link.name}.{os.getpid()}")
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(target)
    new_link.replace(link)


def _last_sealed_line(path: Path, size: int, chain_key: bytes) -> tuple[ChainHead | None, int]:
    """The chain head after the last line with a valid seal, and the offset of the byte after that line.

    Without such a line the offset is 0 if the whole file was searched. If not, it is the size of the file, because
    nothing may be cut off.
    """
    start = size
    for start, part in _parts_backwards(path, size):
        for begin, end in lines_backwards(part):
            line = part[begin:end]
            if line_is_sealed(line, chain_key):
                members = json.loads(line)
                return ChainHead(members["journal_id"], members["seq"], line_digest(line)), start + end + 1
    return None, 0 if start == 0 else size


def _parts_backwards(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and content of parts of a file, from its end to its start or until SEARCHED_BYTES were read.

    Neighbouring parts overlap by the longest line, so that each line is complete in one of them.
    """
    if size == 0:
        return
    last_start = max(0, size - SEARCHED_BYTES)
    start = size
    with path.open("rb") as file:
        while start > last_start:
            end = min(size, start + MAX_LINE_BYTES)
            start = max(last_start, end - READ_BYTES)
            file.seek(start)
            yield start, file.read(end - start)


def _set_aside(slot: Slot, sealed_bytes: int, torn_bytes: int) -> None:
    """Copies the tail to a new `.torn` file and makes it durable before the tail is cut off."""
    number = len(list(slot.directory.glob("security_audit.*.torn"))) + 1
    descriptor = os.open(slot.live_path, os.O_RDWR | os.O_CLOEXEC)
    try:
        torn = os.pread(descriptor, torn_bytes, sealed_bytes)
        torn_path = slot.directory / f"security_audit.{number:08d}.torn"
        with torn_path.open("wb") as file:
            file.write(torn)
            file.flush()
            sync_descriptor(file.fileno())
        sync_directory(slot.directory)
        os.ftruncate(descriptor, sealed_bytes)
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
