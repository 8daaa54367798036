"""The lines of one journal in order, from any point on, across its segments."""

from pathlib import Path
from typing import BinaryIO

from security_common.audit.slot import Segment, SegmentIndex, describe_segment

__all__ = ["JournalFeed"]


class JournalFeed:
    """Reads where it stopped last time; a jump back or ahead costs a scan of one segment.

    Lines are counted, not parsed: seq has no gaps. `oldest_seq` is the first line the journal still holds.
    """

    def __init__(self, directory: Path, journal_id: str) -> None:
        self.journal_id = journal_id
        self.oldest_seq = 1
        self._index = SegmentIndex(directory)
        self._file: BinaryIO | None = None
        self._next_seq = 0

    def lines_after(self, seq: int, *, through: int, limit: int) -> tuple[int, list[bytes]]:
        """Up to `limit` lines behind `seq` and not behind `through`, and the seq of the first of them."""
        if self._file is None or self._next_seq != seq + 1:
            self._seek(seq + 1)
        first_seq, lines = self._next_seq, list[bytes]()
        while self._next_seq <= through and len(lines) < limit:
            line = self._file.readline() if self._file else b""
            if line.endswith(b"\n"):
                lines.append(line[:-1])
                self._next_seq += 1
            elif not self._open_segment_that_begins_here():
                break
        return first_seq, lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _segments(self) -> list[Segment]:
        mine = [each for each in self._index.segments() if each.journal_id == self.journal_id]
        if mine:
            self.oldest_seq = mine[0].first_seq
        return mine

    def _seek(self, seq: int) -> None:
        self.close()
        segments = self._segments()
        if not segments:
            self._next_seq = seq
            return
        holding = [each for each in segments if each.first_seq <= seq]
        segment = holding[-1] if holding else segments[0]
        if not self._open(segment):
            return
        while self._next_seq < seq and self._file is not None and self._file.readline().endswith(b"\n"):
            self._next_seq += 1

    def _open_segment_that_begins_here(self) -> bool:
        following = [each for each in self._segments() if each.first_seq == self._next_seq]
        return bool(following) and self._open(following[-1])

    def _open(self, segment: Segment) -> bool:
        self.close()
        try:
            file = segment.path.open("rb")
        except FileNotFoundError:
            return False
        # The writer may have closed the live segment since it was listed: the name then leads to its successor.
        if describe_segment(file, segment.path, segment.index) != segment:
            file.close()
            return False
        file.seek(0)
        self._file, self._next_seq = file, segment.first_seq
        return True
