"""Verifies the journal files of a service: every seal, number and link, and their agreement with the expected state.

    files of each slot ── line by line ──▶ seal (chain key), numbers without gaps, link to the line before
    expected state     ──────────────────▶ each checkpoint's line is there and unchanged; no journal ends too early

The rules for numbers, links and signed lines are in `bundle_verifier`, which verifies bundles offline.

A wrong key is not a changed line. Checkpoints have the id of the chain key. If a journal has no checkpoint, all its
links are right and none of its seals is, then it was written with another key or rewritten as a whole. Both cases are
reported as not checked, never as intact.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from security_common.audit import RecordedEvent
from security_common.audit.chain_key import chain_key_id
from security_common.audit.heartbeats import HEARTBEAT_SECONDS
from security_common.audit.journal_line import DIGEST_BEFORE_FIRST_LINE, line_is_sealed
from security_common.audit.reading.bundle_verifier import ChainPosition
from security_common.audit.reading.expected_state import ExpectedState, TrailProblem
from security_common.audit.segment_files import Segment, SegmentIndex, open_segments, slots_of
from security_common.audit.segment_retention import removal_of

__all__ = ["JournalSpan", "Verdict", "verify_service"]

QUIET_SECONDS = 12 * HEARTBEAT_SECONDS
"""A journal that has not reported for this time is not being written any more, or is cut off from Redis."""

RemovedLines = Mapping[tuple[str, int], str]
"""The last line of each removed segment, as (journal id, seq), and its digest."""


@dataclass(slots=True)
class JournalSpan:
    """The part of a journal that is in the files; `path` is the file with its first line."""

    path: Path
    first_seq: int
    first_prev: str
    last_seq: int


@dataclass(slots=True)
class Verdict:
    """The result: what is wrong (`problems`), what could not be checked (`unchecked`), and notes."""

    lines: int = 0
    checkpoints: int = 0
    journals: dict[str, JournalSpan] = field(default_factory=dict[str, JournalSpan])
    problems: list[TrailProblem] = field(default_factory=list[TrailProblem])
    unchecked: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def intact(self) -> bool:
        return not self.problems and not self.unchecked

    def add(self, other: "Verdict") -> None:
        """Adds the verdict on another service."""
        self.lines += other.lines
        self.checkpoints += other.checkpoints
        self.journals |= other.journals
        self.problems += other.problems
        self.unchecked += other.unchecked
        self.notes += other.notes

    def as_data(self) -> dict[str, object]:
        """JSON-ready members."""
        return {
            "intact": self.intact,
            "lines": self.lines,
            "checkpoints": self.checkpoints,
            "journals": {journal_id: asdict(span) for journal_id, span in self.journals.items()},
            # The name of a member that scripts read; in the code a finding is personal data in a text.
            "findings": [asdict(problem) for problem in self.problems],
            "unchecked": self.unchecked,
            "notes": self.notes,
        }


def verify_service(
    directory: Path, chain_key: bytes | None, expected: ExpectedState, *, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Verifies all slots of a service. Without a chain key the seals are not checked.

    `progress` is called with the number of bytes of each line. Raises OSError.
    """
    now_ms = int(time.time() * 1000)
    other_key = _journals_with_another_key(directory, chain_key, expected)
    verifier = _FileVerifier(chain_key, expected, other_key, Verdict(problems=list(expected.problems)))
    for slot in slots_of(directory):
        position = ChainPosition()
        for path, number, line in _numbered_lines(slot):
            position = verifier.check_line(path, number, line, position)
            if progress is not None:
                progress(len(line))
    verdict, removed = verifier.verdict, verifier.removed
    verdict.checkpoints = len(expected.checkpoints)
    verdict.problems += _missing_beginnings(verdict, removed)
    verdict.problems += _missing_ends(directory, verdict, expected, removed)
    verdict.problems += _missing_journals(directory, verdict, expected, now_ms)
    verdict.unchecked += _quiet_journals(directory.name, verdict, expected, now_ms)
    verdict.unchecked += _wrong_keys(directory.name, chain_key, other_key, verdict, expected)
    verdict.notes += _not_checked_here(directory.name, verdict, expected)
    return verdict


@dataclass(slots=True)
class _FileVerifier:
    """Checks the lines of a service. `removed` are the removals of retention that the journals record.

    The seals of the journals in `other_key` cannot be checked; their links are.
    """

    chain_key: bytes | None
    expected: ExpectedState
    other_key: AbstractSet[str]
    verdict: Verdict
    removed: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])

    def check_line(self, path: Path, number: int, line: bytes, position: ChainPosition) -> ChainPosition:
        """Checks one line of a slot and returns the position after it."""
        if not line.endswith(b"\n"):
            self.verdict.notes.append(f"{path}:{number}: incomplete line; the next start sets it aside")
            return position
        self.verdict.lines += 1
        content = line[:-1]
        event = _parse(content)
        if event is None or not self._has_valid_seal(event, content):
            self._add_problem(path, number, "the line was changed: its seal is wrong")
            return position.after_damaged_line()
        self._add_problem(path, number, self._find_break(position, event))
        position = position.after(event.journal_id, event.seq, content)
        checkpoint = self.expected.checkpoints.get((event.journal_id, event.seq))
        if checkpoint is not None:
            self._add_problem(path, number, position.find_forgery(checkpoint.digest, checkpoint.time))
        removal = removal_of(event)
        if removal is not None:
            self.removed[removal.journal_id, removal.last_seq] = removal.digest
        span = self.verdict.journals.setdefault(event.journal_id, JournalSpan(path, event.seq, event.prev, event.seq))
        span.last_seq = max(span.last_seq, event.seq)
        return position

    def _has_valid_seal(self, event: RecordedEvent, content: bytes) -> bool:
        if self.chain_key is None or event.journal_id in self.other_key:
            return True
        return line_is_sealed(content, self.chain_key)

    def _find_break(self, position: ChainPosition, event: RecordedEvent) -> str | None:
        if event.journal_id == position.journal_id:
            return position.find_break(event.seq, event.prev)
        if event.journal_id in self.verdict.journals:
            return f"journal {event.journal_id} continues here although another journal follows it"
        if position.journal_id is not None and (event.seq, event.prev) != (1, DIGEST_BEFORE_FIRST_LINE):
            return f"journal {event.journal_id} begins here with seq {event.seq}"
        return None

    def _add_problem(self, path: Path, number: int, problem: str | None) -> None:
        if problem is not None:
            self.verdict.problems.append(TrailProblem(path, number, problem))


def _journals_with_another_key(directory: Path, chain_key: bytes | None, expected: ExpectedState) -> set[str]:
    """The journals whose seals were made with another chain key than this one."""
    if chain_key is None:
        return set()
    signed_key_ids = expected.chain_key_ids()
    given_key_id = chain_key_id(chain_key)
    other = {journal_id for journal_id, key_id in signed_key_ids.items() if key_id != given_key_id}
    for slot in slots_of(directory):
        journals: dict[str, list[Segment]] = {}
        for segment in SegmentIndex(slot).segments():
            journals.setdefault(segment.journal_id, []).append(segment)
        for journal_id, segments in journals.items():
            if journal_id not in signed_key_ids and _is_linked_but_not_sealed(segments, chain_key):
                other.add(journal_id)
    return other


def _is_linked_but_not_sealed(segments: list[Segment], chain_key: bytes) -> bool:
    """Whether no seal is valid although every link is. With the right key only one line is read."""
    position = ChainPosition()
    for segment in segments:
        with segment.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break  # being written, or cut off by a crash
                content = line[:-1]
                event = _parse(content)
                if event is None or line_is_sealed(content, chain_key):
                    return False
                if position.find_break(event.seq, event.prev) is not None:
                    return False
                position = position.after(event.journal_id, event.seq, content)
    return position.seq is not None


def _missing_beginnings(verdict: Verdict, removed: RemovedLines) -> Iterator[TrailProblem]:
    """A journal may only begin with a number above 1 if retention has removed and recorded what was before."""
    for journal_id, span in verdict.journals.items():
        if span.first_seq > 1 and removed.get((journal_id, span.first_seq - 1)) != span.first_prev:
            problem = f"journal {journal_id} begins with seq {span.first_seq}, and no removal is recorded"
            yield TrailProblem(span.path, 1, problem)


def _missing_ends(
    directory: Path, verdict: Verdict, expected: ExpectedState, removed: RemovedLines
) -> Iterator[TrailProblem]:
    """Journals that end before their newest checkpoint, or before what the stream has.

    A journal that only the shared stream names can be on the disk of another replica: it has to be in the stream.
    """
    removed_through: dict[str, int] = {}
    for journal_id, seq in removed:
        removed_through[journal_id] = max(seq, removed_through.get(journal_id, 0))
    for journal_id, checkpoint in expected.newest_checkpoints().items():
        span = verdict.journals.get(journal_id)
        if span is None and journal_id not in expected.required:
            last_seq = max(expected.shipped.get(journal_id, 0), removed_through.get(journal_id, 0))
            state = f"journal {journal_id} is not here and its stream ends at seq {last_seq}"
        else:
            last_seq = span.last_seq if span else removed_through.get(journal_id, 0)
            state = f"journal {journal_id} ends at seq {last_seq}"
        if checkpoint.seq > last_seq:
            problem = f"{state}, but a checkpoint of {checkpoint.time} was made at seq {checkpoint.seq}"
            yield TrailProblem(span.path if span else directory, 0, problem)
    for journal_id, span in verdict.journals.items():
        shipped = expected.shipped.get(journal_id, 0)
        if shipped > span.last_seq:
            problem = f"journal {journal_id} ends at seq {span.last_seq}, but the stream has it through {shipped}"
            yield TrailProblem(span.path, 0, problem)


def _missing_journals(
    directory: Path, verdict: Verdict, expected: ExpectedState, now_ms: int
) -> Iterator[TrailProblem]:
    """Journals whose process has ended and that are neither here nor complete in the stream."""
    for each in expected.heartbeats:
        if each.journal_id not in verdict.journals and each.is_missing(now_ms, QUIET_SECONDS) and each.lines_missing:
            state = f"journal {each.journal_id} is not here and its stream ends at seq {each.shipped}"
            yield TrailProblem(directory, 0, f"{state}, but its last heartbeat reported seq {each.seq}")


def _quiet_journals(service: str, verdict: Verdict, expected: ExpectedState, now_ms: int) -> Iterator[str]:
    """Journals whose process has ended without closing them; the stream has at least what was reported."""
    for each in expected.heartbeats:
        if each.journal_id not in verdict.journals and each.is_missing(now_ms, QUIET_SECONDS):
            seen = f"{datetime.fromtimestamp(each.seen_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
            yield (
                f"{service}: journal {each.journal_id} is not here, its last heartbeat was at {seen}, "
                f"and it was not closed: it may have had lines after seq {max(each.seq, each.shipped)}"
            )


def _wrong_keys(
    service: str, chain_key: bytes | None, other_key: AbstractSet[str], verdict: Verdict, expected: ExpectedState
) -> Iterator[str]:
    """What could not be checked because a key is missing or wrong."""
    if chain_key is None:
        yield f"{service}: no chain key is given, so the seals of its lines were not checked"
    for journal_id in sorted(other_key & verdict.journals.keys()):
        named = expected.chain_key_ids().get(journal_id)
        key = f"the key {named}" if named else "another key (or the whole journal was rewritten)"
        given = chain_key_id(chain_key or b"")
        yield (
            f"{service}: the chain key {given} is not the key that journal {journal_id} was written with: "
            f"that was {key}. Its links and checkpoints were checked, its seals were not"
        )
    given = ", ".join(expected.given_keys)
    for journal_id, key_ids in expected.wrong_keys.items():
        if journal_id not in verdict.journals and journal_id not in expected.required:
            continue
        for key_id, count in key_ids.items():
            yield (
                f"{service}: {count} checkpoints of journal {journal_id} were signed with the key {key_id}, "
                f"not with the given key ({given}), and were not checked"
            )


def _not_checked_here(service: str, verdict: Verdict, expected: ExpectedState) -> Iterator[str]:
    """What belongs to other services, and to replicas with their own disks."""
    for other, count in sorted(expected.other_services.items()):
        yield f"{count} checkpoints of {other} were not checked with the key of {service}"
    newest = expected.newest_checkpoints()
    elsewhere = {*newest, *expected.wrong_keys} - verdict.journals.keys() - expected.required
    for journal_id in sorted(elsewhere):
        state = "agree with the stream" if journal_id in newest else "were signed with another key"
        yield (
            f"journal {journal_id} of {service} is not on this disk, probably on that of another replica: "
            f"its checkpoints {state}"
        )


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
