"""The segment files of a journal slot: which there are, and how they are read.

$SECURITY_AUDIT_DIR/<service>/<slot>/
security_audit.log            the live segment, which is being written
security_audit.00000001.log   closed segments, in order; they never change
security_audit.00000001.torn  incomplete lines that a crash left behind
lock                          locked by the process that writes to the slot
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from security_common.private_files import sync_directory

__all__ = [
    "LIVE_NAME",
    "Segment",
    "SegmentIndex",
    "close_live_segment",
    "describe_segment",
    "last_line_of",
    "lines_backwards",
    "open_segments",
    "slots_of",
]

LIVE_NAME = "security_audit.log"

MAX_LINE_BYTES = 128 * 1024
"""No line is longer than this: it has fewer than 30 texts, each of which is cut to 512 characters (`draft_line`), and a
character takes at most six bytes in JSON."""

_CLOSED_NAME = re.compile(r"security_audit\.(\d{8})\.log")

# The live segment comes after all closed ones, whose numbers have eight digits.
_LIVE_INDEX = 100_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A file with consecutive lines of one journal. `index` gives the order of the files of a slot."""

    path: Path
    index: int
    journal_id: str
    first_seq: int


class SegmentIndex:
    """The segments of one slot. The first line of a closed segment is read only once, because it never changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # By name and inode: a file that was replaced is read again.
        self._closed: dict[tuple[str, int], Segment] = {}

    def segments(self) -> list[Segment]:
        """Every segment that has a complete line: closed ones in order, then the live one.

        The writer may close the live segment at the same time, so a path can lead to another file when it is opened.
        """
        present: dict[tuple[str, int], Segment] = {}
        with os.scandir(self._directory) as entries:
            for entry in entries:
                name = _CLOSED_NAME.fullmatch(entry.name)
                if name is None:
                    continue
                key = entry.name, entry.inode()
                segment = self._closed.get(key) or _describe_path(Path(entry.path), int(name[1]))
                if segment is not None:
                    present[key] = segment
        self._closed = present
        ordered = sorted(present.values(), key=lambda segment: segment.index)
        live = _describe_path(self._directory / LIVE_NAME, _LIVE_INDEX)
        return ordered if live is None else [*ordered, live]

    def has_live_line(self) -> bool:
        """Whether the live segment has a complete line that is JSON with a journal id and a number."""
        return _describe_path(self._directory / LIVE_NAME, _LIVE_INDEX) is not None


def slots_of(service_directory: Path) -> list[Path]:
    """The directories of all slots of a service, in the order of their numbers."""
    if not service_directory.is_dir():
        return []
    slots = [each for each in service_directory.iterdir() if each.name.isdigit()]
    return sorted(slots, key=lambda each: int(each.name))


def open_segments(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Opens every segment file of a slot for reading, oldest first, whatever it contains.

    The live file is opened before the closed ones are listed. If the writer closes it meanwhile, it is not read twice,
    and its successor is not read.
    """
    live_path = directory / LIVE_NAME
    try:
        live = live_path.open("rb")
    except FileNotFoundError:
        live = None
    for _, path in _closed_files(directory):
        if live is None or not os.path.samestat(path.stat(), os.fstat(live.fileno())):
            yield path, path.open("rb")
    if live is not None:
        yield live_path, live


def close_live_segment(directory: Path) -> None:
    """Renames the live segment to the next number. Does nothing if there is no live segment."""
    live_path = directory / LIVE_NAME
    if not live_path.exists():
        return
    newest = max((index for index, _ in _closed_files(directory)), default=0)
    live_path.rename(directory / f"security_audit.{newest + 1:08d}.log")
    sync_directory(directory)


def describe_segment(file: BinaryIO, path: Path, index: int) -> Segment | None:
    """The segment that begins with the first line of an open file. None if there is no complete, readable line."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None
    try:
        first = json.loads(line)
        journal_id, seq = first["journal_id"], first["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(journal_id, str) and isinstance(seq, int)):
        return None
    return Segment(path, index, journal_id, seq)


def last_line_of(path: Path) -> bytes:
    """The last complete line of a segment without its newline; empty if there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_LINE_BYTES))
        tail = file.read()
    for begin, end in lines_backwards(tail):
        return tail[begin:end]
    return b""


def lines_backwards(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each complete line, without its newline, from the last to the first."""
    end = data.rfind(b"\n")
    while end >= 0:
        begin = data.rfind(b"\n", 0, end) + 1
        yield begin, end
        end = begin - 1


def _closed_files(directory: Path) -> list[tuple[int, Path]]:
    closed: list[tuple[int, Path]] = []
    for path in directory.iterdir():
        name = _CLOSED_NAME.fullmatch(path.name)
        if name is not None:
            closed.append((int(name[1]), path))
    return sorted(closed)


def _describe_path(path: Path, index: int) -> Segment | None:
    try:
        with path.open("rb") as file:
            return describe_segment(file, path, index)
    except FileNotFoundError:
        return None
