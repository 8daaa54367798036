"""Checking the journal files: every seal, every link, every number, and every checkpoint and cursor against them.

files of each slot ──line by line──▶ seal (chain key) ▶ seq without gaps ▶ prev = digest of the line before
checkpoints, stream cursors ───────▶ the line they name is there and is that line: a cut tail shows here
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from joserfc.jwk import RSAKey

from security_common.journal import RecordedEvent
from security_common.journal.checkpoint import Checkpoint, read_checkpoint
from security_common.journal.record import GENESIS, line_digest, line_is_sealed
from security_common.journal.retention import removal_of
from security_common.journal.slot import open_segments, slots_of

__all__ = ["Anchors", "Finding", "Verdict", "read_anchors", "verify_service"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `line` counts from 1 in the file; 0 means the file, or what is not there, as a whole."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}" if self.line else f"{self.path}: {self.problem}"


@dataclass(slots=True)
class Span:
    """What the files hold of one journal."""

    path: Path
    first_seq: int
    first_prev: str
    last_seq: int


@dataclass(slots=True)
class Verdict:
    """What was looked at and what was found; intact when nothing was. Notes are no findings."""

    lines: int = 0
    checkpoints: int = 0
    journals: dict[str, Span] = field(default_factory=dict[str, Span])
    findings: list[Finding] = field(default_factory=list[Finding])
    notes: list[str] = field(default_factory=list[str])

    @property
    def intact(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class Anchors:
    """What stands outside the journals: signed checkpoints, and how far the stream says it is, per journal."""

    checkpoints: dict[tuple[str, int], Checkpoint] = field(default_factory=dict[tuple[str, int], Checkpoint])
    shipped: Mapping[str, int] = field(default_factory=dict[str, int])
    findings: list[Finding] = field(default_factory=list[Finding])


def read_anchors(
    signed: Iterable[tuple[Path, int, str]], key: RSAKey, *, service: str, shipped: Mapping[str, int] | None = None
) -> Anchors:
    """Checks the signatures. To be called before the files are read: a living journal may only have grown since."""
    anchors = Anchors(shipped=shipped or {})
    for path, line, text in signed:
        try:
            checkpoint = read_checkpoint(text, key)
        except ValueError:
            anchors.findings.append(Finding(path, line, "this checkpoint was not signed with the checkpoint key"))
            continue
        if checkpoint.service == service and checkpoint.seq > 0:
            anchors.checkpoints[checkpoint.journal_id, checkpoint.seq] = checkpoint
    return anchors


def verify_service(
    directory: Path, chain_key: bytes, anchors: Anchors, *, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Verifies all slots of a service. `progress` is told the bytes of each line. Raises OSError."""
    walk = _Walk(chain_key, anchors, Verdict(findings=list(anchors.findings), checkpoints=len(anchors.checkpoints)))
    for slot in slots_of(directory):
        chain = _Chain()
        for path, number, line in _numbered_lines(slot):
            chain = walk.judge(path, number, line, chain)
            if progress is not None:
                progress(len(line))
    verdict = walk.verdict
    verdict.findings += _missing_beginnings(verdict, walk.removed)
    verdict.findings += _missing_ends(directory, verdict, anchors, walk.removed)
    return verdict


@dataclass(frozen=True, slots=True)
class _Chain:
    """Where the chain of a slot stands; None where a bad line left it unknown."""

    journal_id: str | None = None
    seq: int | None = None
    digest: str | None = None


@dataclass(slots=True)
class _Walk:
    """Goes through the lines; `removed` is what the journals say retention took: (journal, last seq) to its digest."""

    chain_key: bytes
    anchors: Anchors
    verdict: Verdict
    removed: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])

    def judge(self, path: Path, number: int, line: bytes, chain: _Chain) -> _Chain:
        if not line.endswith(b"\n"):
            self.verdict.notes.append(f"{path}:{number}: unfinished line; the next start sets it aside")
            return chain
        self.verdict.lines += 1
        sealed = line[:-1]
        event = _parse(sealed)
        if event is None or not line_is_sealed(sealed, self.chain_key):
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

    def _find(self, path: Path, number: int, problem: str) -> None:
        self.verdict.findings.append(Finding(path, number, problem))

    def _remember(self, path: Path, event: RecordedEvent) -> None:
        if (removal := removal_of(event, path)) is not None:
            self.removed[removal.journal_id, removal.last_seq] = removal.digest
        span = self.verdict.journals.setdefault(event.journal_id, Span(path, event.seq, event.prev, event.seq))
        span.last_seq = max(span.last_seq, event.seq)


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


def _missing_beginnings(verdict: Verdict, removed: Mapping[tuple[str, int], str]) -> Iterator[Finding]:
    """The first line of a journal may have a number above 1 only when retention took what was before, and said so."""
    for journal_id, span in verdict.journals.items():
        if span.first_seq > 1 and removed.get((journal_id, span.first_seq - 1)) != span.first_prev:
            yield Finding(span.path, 1, f"journal {journal_id} begins with seq {span.first_seq}, removed by nobody")


def _missing_ends(
    directory: Path, verdict: Verdict, anchors: Anchors, removed: Mapping[tuple[str, int], str]
) -> Iterator[Finding]:
    signed: dict[str, Checkpoint] = {}
    for checkpoint in anchors.checkpoints.values():
        if checkpoint.journal_id not in signed or signed[checkpoint.journal_id].seq < checkpoint.seq:
            signed[checkpoint.journal_id] = checkpoint
    gone = dict[str, int]()
    for journal_id, seq in removed:
        gone[journal_id] = max(seq, gone.get(journal_id, 0))
    for journal_id, checkpoint in signed.items():
        span = verdict.journals.get(journal_id)
        last_seq = span.last_seq if span else gone.get(journal_id, 0)
        if checkpoint.seq > last_seq:
            said = f"a checkpoint of {checkpoint.time} stands at seq {checkpoint.seq}"
            path = span.path if span else directory
            yield Finding(path, 0, f"journal {journal_id} ends at seq {last_seq}, but {said}")
    for journal_id, span in verdict.journals.items():
        if anchors.shipped.get(journal_id, 0) > span.last_seq:
            said = f"the stream has it through {anchors.shipped[journal_id]}"
            yield Finding(span.path, 0, f"journal {journal_id} ends at seq {span.last_seq}, but {said}")


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
