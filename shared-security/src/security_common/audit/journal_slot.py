"""The files of one journal writer: a locked folder with the live segment, the closed ones and what was set aside.

$SECURITY_AUDIT_DIR/<service>/<slot>/security_audit.log            the live segment
                                     security_audit.00000001.log   closed segments, in order
                                     security_audit.*.torn         tails that a crash cut in the middle of a line
                                     lock                          held (flock) by the process that writes here
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from security_common.audit.journal_line import ChainHead, line_digest, line_is_sealed

__all__ = [
    "LIVE_NAME",
    "Recovery",
    "Segment",
    "SegmentIndex",
    "Slot",
    "describe_segment",
    "make_private_directory",
    "open_segments",
    "recover",
    "slots_of",
    "sync_directory",
]

LIVE_NAME = "security_audit.log"

TAIL_BYTES = 4 * 1024 * 1024
"""How much of the live segment is checked at start: more than one group commit can leave behind."""

CLAIM_ATTEMPTS = 10
CLAIM_PAUSE_SECONDS = 0.01

LINE_BYTES = 64 * 1024
"""More than the longest line there can be."""

_CLOSED_NAME = re.compile(r"security_audit\.(\d{8})\.log")


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of consecutive lines of one journal. A closed one never changes; `index` orders the files of a slot."""

    path: Path
    index: int
    journal_id: str
    first_seq: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start found: where to go on, how long the live segment is, and how many bytes were set aside.

    `other_key`: the live segment was written with another chain key. It is left as it is, and has no `head`.
    """

    head: ChainHead | None
    live_bytes: int
    torn_bytes: int
    other_key: bool = False


class Slot:
    """One writer's folder, held by this process until `release`."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self.live_path = directory / LIVE_NAME
        self._lock = lock

    @classmethod
    def claim(cls, service_directory: Path) -> Self:
        """Locks the lowest free slot below `service_directory`, making it where needed.

        A slot may be held for a moment by a process that looks after idle ones, so each is asked for a little while.
        """
        number = 0
        while True:
            directory = service_directory / str(number)
            for _ in range(CLAIM_ATTEMPTS):
                if (lock := _lock(directory)) is not None:
                    return cls(directory, lock)
                time.sleep(CLAIM_PAUSE_SECONDS)
            number += 1

    @classmethod
    def claim_idle(cls, directory: Path) -> Self | None:
        """Locks this slot if no living process holds it."""
        lock = _lock(directory)
        return None if lock is None else cls(directory, lock)

    def release(self) -> None:
        os.close(self._lock)

    def close_live_segment(self) -> None:
        """Gives the live segment its number, unless that was done and only its successor could not be made."""
        if not self.live_path.exists():
            return
        closed = [index for index, _ in _closed_files(self.directory)]
        self.live_path.rename(self.directory / f"security_audit.{max(closed, default=0) + 1:08d}.log")
        sync_directory(self.directory)


def slots_of(service_directory: Path) -> list[Path]:
    """The folders of every slot there is, lowest first."""
    if not service_directory.is_dir():
        return []
    return sorted(
        (each for each in service_directory.iterdir() if each.name.isdigit()), key=lambda each: int(each.name)
    )


class SegmentIndex:
    """The segments of a slot. A closed one never changes, so its first line is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._closed: dict[tuple[str, int], Segment] = {}

    def segments(self) -> list[Segment]:
        """Every segment that holds a line, oldest first, the live one last.

        The writer may close the live segment while this looks: whoever opens a path later must be ready to look again.
        """
        present: dict[tuple[str, int], Segment] = {}
        with os.scandir(self._directory) as entries:
            closed = [(match, each) for each in entries if (match := _CLOSED_NAME.fullmatch(each.name))]
        for match, entry in closed:
            key = entry.name, entry.inode()
            segment = self._closed.get(key) or _describe_file(Path(entry.path), int(match[1]))
            if segment is not None:
                present[key] = segment
        self._closed = present
        live = _describe_file(self._directory / LIVE_NAME, _LIVE_INDEX)
        ordered = sorted(present.values(), key=lambda segment: segment.index)
        return ordered if live is None else [*ordered, live]


def open_segments(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Every segment file, oldest first, opened for reading, whatever it holds.

    The live one is opened before the others are listed: if the writer closes it meanwhile, it is not read twice, and
    its successor is left for another time.
    """
    live_path = directory / LIVE_NAME
    try:
        live = live_path.open("rb")
    except FileNotFoundError:
        live = None
    closed = [path for _, path in _closed_files(directory)]
    for path in closed:
        if live is None or not os.path.samestat(path.stat(), os.fstat(live.fileno())):
            yield path, path.open("rb")
    if live is not None:
        yield live_path, live


def describe_segment(file: BinaryIO, path: Path, index: int) -> Segment | None:
    """What the first line says about a segment; None while it has no whole line."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None
    try:
        first = json.loads(line)
        journal_id, seq = first["journal_id"], first["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Segment(path, index, journal_id, seq) if isinstance(journal_id, str) and isinstance(seq, int) else None


def last_line_of(path: Path) -> bytes:
    """The last whole line of a segment, without its newline; empty when there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LINE_BYTES))
        tail = file.read()
    return next((tail[begin:end] for begin, end in _lines_backwards(tail)), b"")


def recover(slot: Slot, chain_key: bytes) -> Recovery:
    """Finds the last good line of a slot and moves what a crash left behind it to a `.torn` file.

    Only bytes after the last line that carries a valid seal are moved: a damaged line with good ones behind it is no
    torn tail, stays where it is, and is what `audit verify` is for. A segment with whole lines of which not one fits
    the chain key was written with another key; nothing of it is moved.
    """
    live_bytes = slot.live_path.stat().st_size if slot.live_path.exists() else 0
    head, good_bytes = _last_good_line(slot.live_path, live_bytes, chain_key)
    if head is None and _describe_file(slot.live_path, _LIVE_INDEX) is not None:
        return Recovery(None, live_bytes, 0, other_key=True)
    torn_bytes = live_bytes - good_bytes
    if torn_bytes:
        _set_aside(slot, good_bytes, torn_bytes)
    elif live_bytes:
        _sync_file(slot.live_path)  # written before a crash, but perhaps not synced; from here on it counts as on disk
    if head is None:
        for segment in reversed(SegmentIndex(slot.directory).segments()):
            head, _ = _last_good_line(segment.path, segment.path.stat().st_size, chain_key)
            if head is not None:
                break
    return Recovery(head, good_bytes, torn_bytes)


def sync_directory(directory: Path) -> None:
    """Makes names in a folder durable: fsync of a file does not cover the entry that leads to it."""
    _sync_file(directory)


def make_private_directory(directory: Path) -> None:
    """Makes a folder only its owner can enter; missing parents get the umask's mode."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


_LIVE_INDEX = 100_000_000


def _lock(directory: Path) -> int | None:
    make_private_directory(directory)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _closed_files(directory: Path) -> list[tuple[int, Path]]:
    named = ((_CLOSED_NAME.fullmatch(each.name), each) for each in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in named if match)


def _describe_file(path: Path, index: int) -> Segment | None:
    try:
        with path.open("rb") as file:
            return describe_segment(file, path, index)
    except FileNotFoundError:
        return None


def _last_good_line(path: Path, size: int, chain_key: bytes) -> tuple[ChainHead | None, int]:
    """The head that the last sealed line makes, and the offset just behind that line."""
    if size == 0:
        return None, 0
    with path.open("rb") as file:
        start = max(0, size - TAIL_BYTES)
        file.seek(start)
        tail = file.read(size - start)
    for begin, end in _lines_backwards(tail):
        line = tail[begin:end]
        if line_is_sealed(line, chain_key):
            members = json.loads(line)
            return ChainHead(members["journal_id"], members["seq"], line_digest(line)), start + end + 1
    return None, 0 if start == 0 else size


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lines_backwards(data: bytes) -> Iterator[tuple[int, int]]:
    end = data.rfind(b"\n")
    while end >= 0:
        begin = data.rfind(b"\n", 0, end) + 1
        yield begin, end
        end = begin - 1


def _set_aside(slot: Slot, good_bytes: int, torn_bytes: int) -> None:
    number = len(list(slot.directory.glob("security_audit.*.torn"))) + 1
    descriptor = os.open(slot.live_path, os.O_RDWR | os.O_CLOEXEC)
    try:
        torn = os.pread(descriptor, torn_bytes, good_bytes)
        torn_path = slot.directory / f"security_audit.{number:08d}.torn"
        with torn_path.open("wb") as file:
            file.write(torn)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(slot.directory)
        os.ftruncate(descriptor, good_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
