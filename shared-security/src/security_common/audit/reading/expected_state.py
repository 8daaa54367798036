"""What the journal files of a service must agree with: signed checkpoints, and what Redis has of each journal.

    checkpoints.jws of each slot, --checkpoints  ──▶ their journals must be on this disk          ┐
    stream audit:checkpoints, of all services    ──▶ only those of this service; journals of      ├─▶ ExpectedState
                                                     another disk are compared with the cursors   │
    cursors audit:cursors, heartbeats audit:journals                                              ┘

A checkpoint names the key that signed it, so a wrong key and a wrong signature are distinguished.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from joserfc.jwk import RSAKey

from security_common.audit.checkpoints import Checkpoint, UnverifiedCheckpoint, parse_unverified, read_checkpoint
from security_common.audit.heartbeats import Heartbeat

__all__ = ["ExpectedState", "SignedCheckpoint", "StreamState", "TrailProblem", "read_expected_state"]


@dataclass(frozen=True, slots=True)
class TrailProblem:
    """Something that is wrong. `line` counts from 1; 0 means the file as a whole, or something that is missing."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}" if self.line else f"{self.path}: {self.problem}"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and where it is: in line `line` of a file, or (`in_stream`) an entry of the shared stream.

    With `of_service_only` the file is written by one service and has no checkpoints of other services.
    """

    path: Path
    line: int
    text: str
    in_stream: bool = False
    of_service_only: bool = False


@dataclass(frozen=True, slots=True)
class StreamState:
    """What Redis has: the checkpoints of all services, the last shipped line of each journal, and the heartbeats."""

    checkpoints: Sequence[SignedCheckpoint] = ()
    shipped: Mapping[str, int] = field(default_factory=dict[str, int])
    heartbeats: Sequence[Heartbeat] = ()


@dataclass(slots=True)
class ExpectedState:
    """The verified checkpoints of one service and what could not be verified.

    `required` are the journals of checkpoints in files: their lines must be on this disk. `wrong_keys` counts, for each
    journal, the checkpoints by the id of a key that is not given. `other_services` counts the checkpoints of other
    services. `heartbeats` are those of this service.
    """

    checkpoints: dict[tuple[str, int], Checkpoint] = field(default_factory=dict[tuple[str, int], Checkpoint])
    required: set[str] = field(default_factory=set[str])
    shipped: Mapping[str, int] = field(default_factory=dict[str, int])
    wrong_keys: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    given_keys: tuple[str, ...] = ()
    heartbeats: Sequence[Heartbeat] = ()
    other_services: Counter[str] = field(default_factory=Counter[str])
    problems: list[TrailProblem] = field(default_factory=list[TrailProblem])

    def chain_key_ids(self) -> dict[str, str]:
        """The id of the chain key of each journal, from its checkpoints."""
        return {each.journal_id: each.chain_key_id for each in self.checkpoints.values() if each.chain_key_id}

    def newest_checkpoints(self) -> dict[str, Checkpoint]:
        """The checkpoint with the highest sequence number of each journal."""
        newest: dict[str, Checkpoint] = {}
        for each in self.checkpoints.values():
            if each.journal_id not in newest or newest[each.journal_id].seq < each.seq:
                newest[each.journal_id] = each
        return newest


def read_expected_state(
    signed: Iterable[SignedCheckpoint],
    keys: Sequence[RSAKey],
    *,
    service: str,
    shipped: Mapping[str, int] | None = None,
) -> ExpectedState:
    """Verifies the checkpoints of a service with its keys. After a change of the key, there are several.

    Without a key no checkpoint is verified. Call this before the files are read: a journal that is being written can
    then only be longer than expected.
    """
    keys_by_id = {key.thumbprint(): key for key in keys}
    expected = ExpectedState(shipped=shipped or {}, given_keys=tuple(keys_by_id))
    if not keys_by_id:
        return expected
    for checkpoint in signed:
        try:
            unverified = parse_unverified(checkpoint.text)
        except ValueError:
            expected.problems.append(TrailProblem(checkpoint.path, checkpoint.line, "this is not a checkpoint"))
            continue
        claimed_service = unverified.claimed.service
        if claimed_service == service:
            _add_checkpoint(expected, checkpoint, unverified, keys_by_id)
        elif checkpoint.of_service_only:
            problem = f"this checkpoint is one of {claimed_service}: the file was replaced or changed"
            expected.problems.append(TrailProblem(checkpoint.path, checkpoint.line, problem))
        else:
            expected.other_services[claimed_service] += 1
    return expected


def _add_checkpoint(
    expected: ExpectedState, signed: SignedCheckpoint, unverified: UnverifiedCheckpoint, keys: Mapping[str, RSAKey]
) -> None:
    journal_id = unverified.claimed.journal_id
    key = keys.get(unverified.key_id)
    if key is None:
        expected.wrong_keys.setdefault(journal_id, Counter())[unverified.key_id] += 1
        if not signed.in_stream:
            expected.required.add(journal_id)
        return
    try:
        checkpoint = read_checkpoint(signed.text, key)
    except ValueError:
        problem = "this checkpoint was not signed with the key that it names: it was changed or forged"
        expected.problems.append(TrailProblem(signed.path, signed.line, problem))
        return
    if checkpoint.seq == 0:
        return  # a journal without a line
    expected.checkpoints[checkpoint.journal_id, checkpoint.seq] = checkpoint
    if not signed.in_stream:
        expected.required.add(checkpoint.journal_id)
