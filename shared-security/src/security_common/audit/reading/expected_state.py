"""What is known of a service's journals beside their files: signed checkpoints, and how far the stream has each.

    checkpoints.jws of each slot, --checkpoints ──▶ must be in the files here        ┐
    stream audit:checkpoints, all services       ──▶ those of this service only:      ├─▶ ExpectedState
                      journals that are not here (a replica with another disk)        │
                      are compared with the stream's cursors                          ┘
    stream cursors audit:cursors

A checkpoint names the key that signed it, so a wrong key is told from a wrong signature.
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
    """One thing that is wrong. `line` counts from 1 in the file; 0 means the file, or what is not there, as a whole."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}" if self.line else f"{self.path}: {self.problem}"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it was found: in line `line` of a file, or (`in_stream`) as an entry of the shared stream.

    `of_service_only`: the file is written by one service, and no other has checkpoints in it.
    """

    path: Path
    line: int
    text: str
    in_stream: bool = False
    of_service_only: bool = False


@dataclass(frozen=True, slots=True)
class StreamState:
    """What Redis says: the checkpoints of all services, the last seq of each journal that the stream has, and the
    journals that reported there.
    """

    checkpoints: Sequence[SignedCheckpoint] = ()
    shipped: Mapping[str, int] = field(default_factory=dict[str, int])
    journals: Sequence[Heartbeat] = ()


@dataclass(slots=True)
class ExpectedState:
    """The checkpoints of one service that were checked, and what could not be checked.

    `required` are the journals that a checkpoint in a file names: their lines must be here. `wrong_keys` counts
    checkpoints by the id of a key that is not given, per journal. `others` counts those of other services. `journals`
    are those of this service that reported to Redis.
    """

    checkpoints: dict[tuple[str, int], Checkpoint] = field(default_factory=dict[tuple[str, int], Checkpoint])
    required: set[str] = field(default_factory=set[str])
    shipped: Mapping[str, int] = field(default_factory=dict[str, int])
    wrong_keys: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    given_keys: tuple[str, ...] = ()
    journals: Sequence[Heartbeat] = ()
    others: Counter[str] = field(default_factory=Counter[str])
    findings: list[TrailProblem] = field(default_factory=list[TrailProblem])

    def chain_key_ids(self) -> dict[str, str]:
        """The id of the chain key of each journal, as its checkpoints say it."""
        return {each.journal_id: each.chain_key_id for each in self.checkpoints.values() if each.chain_key_id}

    def newest(self) -> dict[str, Checkpoint]:
        """The checkpoint with the highest seq of each journal."""
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
    """Checks the signatures of a service's checkpoints with its keys (more than one after a change of the key).

    Without a key nothing is checked. To be called before the files are read: a living journal may only have grown
    since.
    """
    by_id = {key.thumbprint(): key for key in keys}
    anchors = ExpectedState(shipped=shipped or {}, given_keys=tuple(by_id))
    for found in signed if by_id else ():
        try:
            claim = parse_unverified(found.text)
        except ValueError:
            anchors.findings.append(TrailProblem(found.path, found.line, "this is not a checkpoint"))
            continue
        if claim.claimed.service != service and found.of_service_only:
            problem = f"this checkpoint is one of {claim.claimed.service}: the file was replaced or changed"
            anchors.findings.append(TrailProblem(found.path, found.line, problem))
        elif claim.claimed.service != service:
            anchors.others[claim.claimed.service] += 1
        else:
            _judge(anchors, found, claim, by_id)
    return anchors


def _judge(
    anchors: ExpectedState, found: SignedCheckpoint, claim: UnverifiedCheckpoint, keys: Mapping[str, RSAKey]
) -> None:
    key = keys.get(claim.key_id)
    if key is None:
        anchors.wrong_keys.setdefault(claim.claimed.journal_id, Counter())[claim.key_id] += 1
        if not found.in_stream:
            anchors.required.add(claim.claimed.journal_id)
        return
    try:
        checkpoint = read_checkpoint(found.text, key)
    except ValueError:
        problem = "this checkpoint was not signed with the key that it names: it was changed or forged"
        anchors.findings.append(TrailProblem(found.path, found.line, problem))
        return
    if checkpoint.seq == 0:
        return  # a journal without a line
    anchors.checkpoints[checkpoint.journal_id, checkpoint.seq] = checkpoint
    if not found.in_stream:
        anchors.required.add(checkpoint.journal_id)
