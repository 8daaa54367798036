"""Checking the journal files of a service: every seal, link and number, and every checkpoint and cursor against them.

files of each slot ──line by line──▶ seal (chain key) ▶ seq without gaps ▶ prev = digest of the line before
checkpoints, stream cursors ───────▶ the line they name is there and is that line: a cut tail shows here

A wrong key is not a changed line. Checkpoints carry the id of the chain key; where there is none, a journal in which
every link holds and not one seal fits was written with another key, or written anew as a whole. Either way it is
reported as not checked, never as intact.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from security_common.audit import RecordedEvent
from security_common.audit.chain_key import chain_key_id
from security_common.audit.heartbeats import HEARTBEAT_SECONDS
from security_common.audit.journal_line import GENESIS, line_digest, line_is_sealed
from security_common.audit.reading.expected_state import ExpectedState, TrailProblem
from security_common.audit.segment_files import Segment, SegmentIndex, open_segments, slots_of
from security_common.audit.segment_retention import removal_of

__all__ = ["Span", "Verdict", "verify_service"]

QUIET_SECONDS = 12 * HEARTBEAT_SECONDS
"""A journal that is written reports every few seconds; after so long its process is gone, or cut off from Redis."""


@dataclass(slots=True)
class Span:
    """What the files hold of one journal."""

    path: Path
    first_seq: int
    first_prev: str
    last_seq: int


@dataclass(slots=True)
class Verdict:
    """What was looked at and found. Findings are wrong, `unchecked` could not be checked, notes are neither."""

    lines: int = 0
    checkpoints: int = 0
    journals: dict[str, Span] = field(default_factory=dict[str, Span])
    findings: list[TrailProblem] = field(default_factory=list[TrailProblem])
    unchecked: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def intact(self) -> bool:
        return not self.findings and not self.unchecked

    def add(self, other: "Verdict") -> None:
        """Counts the verdict on another service in."""
        self.lines += other.lines
        self.checkpoints += other.checkpoints
        self.journals |= other.journals
        self.findings += other.findings
        self.unchecked += other.unchecked
        self.notes += other.notes


def verify_service(
    directory: Path, chain_key: bytes | None, anchors: ExpectedState, *, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Verifies all slots of a service; without a chain key only links and checkpoints.

    `progress` is told the bytes of each line. Raises OSError.
    """
    now_ms = int(time.time() * 1000)
    other_key = _journals_with_another_key(directory, chain_key, anchors)
    walk = _Walk(chain_key, anchors, other_key, Verdict(findings=list(anchors.findings)))
    for slot in slots_of(directory):
        chain = _Chain()
        for path, number, line in _numbered_lines(slot):
            chain = walk.judge(path, number, line, chain)
            if progress is not None:
                progress(len(line))
    verdict = walk.verdict
    verdict.checkpoints = len(anchors.checkpoints)
    verdict.findings += _missing_beginnings(verdict, walk.removed)
    verdict.findings += _missing_ends(directory, verdict, anchors, walk.removed)
    verdict.findings += _missing_journals(directory, verdict, anchors, now_ms)
    verdict.unchecked += _quiet_journals(directory.name, verdict, anchors, now_ms)
    verdict.unchecked += _wrong_keys(directory.name, chain_key, other_key, verdict, anchors)
    verdict.notes += _not_checked_here(directory.name, verdict, anchors)
    return verdict


@dataclass(frozen=True, slots=True)
class _Chain:
    """Where the chain of a slot stands; None where a bad line left it unknown."""

    journal_id: str | None = None
    seq: int | None = None
    digest: str | None = None


@dataclass(slots=True)
class _Walk:
    """Goes through the lines; `removed` is what the journals say retention took: (journal, last seq) to its digest.

    Of the journals in `other_key` the seals can't be judged, only the links.
    """

    chain_key: bytes | None
    anchors: ExpectedState
    other_key: AbstractSet[str]
    verdict: Verdict
    removed: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])

    def judge(self, path: Path, number: int, line: bytes, chain: _Chain) -> _Chain:
        """Judges one line, and returns where the chain stands behind it."""
        if not line.endswith(b"\n"):
            self.verdict.notes.append(f"{path}:{number}: unfinished line; the next start sets it aside")
            return chain
        self.verdict.lines += 1
        sealed = line[:-1]
        event = _parse(sealed)
        if event is None or not self._seal_fits(event, sealed):
            self._find(path, number, "the line was changed: its seal does not fit")
            return _Chain(chain.journal_id, None if chain.seq is None else chain.seq + 1)
        if (problem := _broken_link(chain, event, self.verdict)) is not None:
            self._find(path, number, problem)
        digest = line_digest(sealed)
        checkpoint = self.anchors.checkpoints.get((event.journal_id, event.seq))
        if checkpoint is not None and checkpoint.digest != digest:
            self._find(path, number, f"not the line that was signed at {checkpoint.time}")
        self._remember(path, event)
        return _Chain(event.journal_id, event.seq, digest)

    def _seal_fits(self, event: RecordedEvent, sealed: bytes) -> bool:
        if self.chain_key is None or event.journal_id in self.other_key:
            return True
        return line_is_sealed(sealed, self.chain_key)

    def _find(self, path: Path, number: int, problem: str) -> None:
        self.verdict.findings.append(TrailProblem(path, number, problem))

    def _remember(self, path: Path, event: RecordedEvent) -> None:
        if (removal := removal_of(event, path)) is not None:
            self.removed[removal.journal_id, removal.last_seq] = removal.digest
        span = self.verdict.journals.setdefault(event.journal_id, Span(path, event.seq, event.prev, event.seq))
        span.last_seq = max(span.last_seq, event.seq)


def _journals_with_another_key(directory: Path, chain_key: bytes | None, anchors: ExpectedState) -> set[str]:
    """The journals whose seals were made with another chain key than this one."""
    if chain_key is None:
        return set()
    signed, given = anchors.chain_key_ids(), chain_key_id(chain_key)
    other = {journal_id for journal_id, key_id in signed.items() if key_id != given}
    for slot in slots_of(directory):
        journals: dict[str, list[Segment]] = {}
        for segment in SegmentIndex(slot).segments():
            journals.setdefault(segment.journal_id, []).append(segment)
        unsigned = (each for each in journals if each not in signed)
        other |= {each for each in unsigned if _is_linked_but_not_sealed(journals[each], chain_key)}
    return other


def _is_linked_but_not_sealed(segments: list[Segment], chain_key: bytes) -> bool:
    """Whether no seal fits although every link holds. With the right key this reads one line."""
    before: tuple[int, str] | None = None
    for segment in segments:
        with segment.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break  # being written, or cut in the middle by a crash
                sealed = line[:-1]
                event = _parse(sealed)
                if event is None or line_is_sealed(sealed, chain_key):
                    return False
                if before is not None and (event.seq, event.prev) != before:
                    return False
                before = event.seq + 1, line_digest(sealed)
    return before is not None


def _broken_link(chain: _Chain, event: RecordedEvent, verdict: Verdict) -> str | None:
    if event.journal_id != chain.journal_id:
        if event.journal_id in verdict.journals:
            return f"journal {event.journal_id} was left and comes back here"
        if chain.journal_id is not None and (event.seq, event.prev) != (1, GENESIS):
            return f"journal {event.journal_id} begins here with seq {event.seq}"
        return None
    if chain.seq is not None and event.seq != chain.seq + 1:
        what = "lines are missing" if event.seq > chain.seq + 1 else "a line is repeated or out of order"
        return f"{what}: seq {event.seq} follows {chain.seq}"
    if chain.digest is not None and event.prev != chain.digest:
        return f"seq {event.seq} does not link to the line before it"
    return None


def _missing_beginnings(verdict: Verdict, removed: Mapping[tuple[str, int], str]) -> Iterator[TrailProblem]:
    """The first line of a journal may have a number above 1 only when retention took what was before, and said so."""
    for journal_id, span in verdict.journals.items():
        if span.first_seq > 1 and removed.get((journal_id, span.first_seq - 1)) != span.first_prev:
            yield TrailProblem(
                span.path, 1, f"journal {journal_id} begins with seq {span.first_seq}, removed by nobody"
            )


def _missing_ends(
    directory: Path, verdict: Verdict, anchors: ExpectedState, removed: Mapping[tuple[str, int], str]
) -> Iterator[TrailProblem]:
    """Journals that end before their newest checkpoint, or before what the stream has.

    A journal that only the shared stream knows may be on the disk of another replica: it has to be in the stream.
    """
    gone = dict[str, int]()
    for journal_id, seq in removed:
        gone[journal_id] = max(seq, gone.get(journal_id, 0))
    for journal_id, checkpoint in anchors.newest().items():
        span = verdict.journals.get(journal_id)
        said = f"a checkpoint of {checkpoint.time} was made at seq {checkpoint.seq}"
        if span is None and journal_id not in anchors.required:
            last_seq = max(anchors.shipped.get(journal_id, 0), gone.get(journal_id, 0))
            what = f"journal {journal_id} is not here and its stream ends at seq {last_seq}"
        else:
            last_seq = span.last_seq if span else gone.get(journal_id, 0)
            what = f"journal {journal_id} ends at seq {last_seq}"
        if checkpoint.seq > last_seq:
            yield TrailProblem(span.path if span else directory, 0, f"{what}, but {said}")
    for journal_id, span in verdict.journals.items():
        if anchors.shipped.get(journal_id, 0) > span.last_seq:
            said = f"the stream has it through {anchors.shipped[journal_id]}"
            yield TrailProblem(span.path, 0, f"journal {journal_id} ends at seq {span.last_seq}, but {said}")


def _missing_journals(directory: Path, verdict: Verdict, anchors: ExpectedState, now_ms: int) -> Iterator[TrailProblem]:
    """Journals that are neither here nor whole in the stream, and whose process is gone."""
    for each in anchors.journals:
        if each.journal_id not in verdict.journals and each.is_missing(now_ms, QUIET_SECONDS) and each.lines_missing:
            what = f"journal {each.journal_id} is not here and its stream ends at seq {each.shipped}"
            yield TrailProblem(directory, 0, f"{what}, but it had reached seq {each.seq} when it was last heard of")


def _quiet_journals(service: str, verdict: Verdict, anchors: ExpectedState, now_ms: int) -> Iterator[str]:
    """The same where the stream has all that was reported: there may have been more."""
    for each in anchors.journals:
        if each.journal_id not in verdict.journals and each.is_missing(now_ms, QUIET_SECONDS):
            seen = f"{datetime.fromtimestamp(each.seen_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
            yield (
                f"{service}: journal {each.journal_id} is not here, was last heard of at {seen} "
                f"and was not closed: whether it had lines after seq {max(each.seq, each.shipped)} is not known"
            )


def _wrong_keys(
    service: str, chain_key: bytes | None, other_key: AbstractSet[str], verdict: Verdict, anchors: ExpectedState
) -> Iterator[str]:
    """What could not be checked for want of the right key."""
    if chain_key is None:
        yield f"{service}: no chain key is given, so the seals of its lines were not checked"
    for journal_id in sorted(other_key & verdict.journals.keys()):
        named = anchors.chain_key_ids().get(journal_id)
        key = f"the key {named}" if named else "another key (or all of it was written anew)"
        given = chain_key_id(chain_key or b"")
        yield (
            f"{service}: the chain key {given} is not the key that journal {journal_id} was written with: "
            f"that was {key}. Its links and checkpoints were checked, its seals were not"
        )
    for journal_id, key_ids in anchors.wrong_keys.items():
        if journal_id in verdict.journals or journal_id in anchors.required:
            for key_id, count in key_ids.items():
                given = ", ".join(anchors.given_keys)
                yield (
                    f"{service}: {count} checkpoints of journal {journal_id} were signed with the key {key_id}, "
                    f"not with the one given ({given}), and were not checked"
                )


def _not_checked_here(service: str, verdict: Verdict, anchors: ExpectedState) -> Iterator[str]:
    """What belongs to somebody else: other services, and replicas with a disk of their own."""
    for other, count in sorted(anchors.others.items()):
        yield f"{count} checkpoints of {other} were not checked with the key of {service}"
    elsewhere = {*anchors.newest(), *anchors.wrong_keys} - verdict.journals.keys() - anchors.required
    for journal_id in sorted(elsewhere):
        if journal_id in anchors.newest():
            known = "its checkpoints agree with the stream"
        else:
            known = "its checkpoints were signed with another key"
        yield f"journal {journal_id} of {service} is not on this disk (another replica's?): {known}"


def _numbered_lines(slot: Path) -> Iterator[tuple[Path, int, bytes]]:
    for path, file in open_segments(slot):
        with file:
            for number, line in enumerate(file, start=1):
                yield path, number, line


def _parse(line: bytes) -> RecordedEvent | None:
    try:
        return RecordedEvent.from_line(line)
    except ValueError:
        return None
