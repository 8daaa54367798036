"""The lines of a journal: an event as one line of JSON with a seal and a link, and the parser for such a line.

    {"action_taken":"executed", ... ,"timestamp":"...","user_id":"u_1"   the event: sorted keys, no spaces, UTF-8
     ,"journal_id":"...","seq":7,"prev":"<SHA-256 of line 6>"            its position in the journal
     ,"hash":"<HMAC-SHA256 of every byte above, closed with }>"}         the seal

The link `prev` needs no key. A signed checkpoint of one line therefore proves every line before it to anyone who has
the public key. The seal `hash` needs the chain key: an attacker who can only write the file cannot create a valid line.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from security_common.audit.event import AuditEvent, Outcome

__all__ = [
    "DIGEST_BEFORE_FIRST_LINE",
    "ChainHead",
    "RecordedEvent",
    "draft_line",
    "line_digest",
    "line_is_sealed",
    "seal_line",
    "uuid7",
]

DIGEST_BEFORE_FIRST_LINE = "0" * 64
"""`prev` of the first line of a journal."""

MAX_TEXT_CHARACTERS = 512
"""Longer texts are cut to this number of characters: callers choose some of them, and a line must stay small."""

_ALWAYS_WRITTEN = ("event_type", "tool_name", "user_id", "client_id", "contains_pii", "action_taken")
_WRITTEN_IF_KNOWN = (
    "outcome",
    "reason",
    "issuer",
    "source_address",
    "subject_reference",
    "task",
    "trace_id",
    "duration_ms",
)
_HASH_MEMBER = b',"hash":"'
_HASH_SUFFIX_LENGTH = len(_HASH_MEMBER) + 64 + len(b'"}')

# A UUID of version 7: 48 bits time, 4 bits version, 12 bits random, 2 bits variant, 62 bits random.
_UUID7_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_UUID7_RANDOM_BITS = ((1 << 76) - 1) & ~(0x3 << 62)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last line of a journal, to which the next line links. `seq` is 0 as long as the journal has no line."""

    journal_id: str
    seq: int = 0
    digest: str = DIGEST_BEFORE_FIRST_LINE


def uuid7(unix_ms: int, random_bytes: bytes) -> str:
    """A time-ordered identifier (RFC 9562 section 5.7) from milliseconds since the epoch and 10 random bytes."""
    random_bits = int.from_bytes(random_bytes[:10]) & _UUID7_RANDOM_BITS
    digits = f"{(unix_ms << 80) | _UUID7_VERSION_AND_VARIANT | random_bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def draft_line(event: AuditEvent, *, service: str, time_ns: int, event_id: str) -> bytes:
    """The first part of the line, without the closing brace. `seal_line` adds the position and the seal."""
    body: dict[str, Any] = {"event_id": event_id, "service": service, "timestamp": _timestamp(time_ns)}
    for name in _ALWAYS_WRITTEN:
        body[name] = _cut(getattr(event, name))
    for name in _WRITTEN_IF_KNOWN:
        value = getattr(event, name)
        if value is not None:
            body[name] = _cut(value)
    if event.pii_kinds:
        body["pii_kinds"] = dict(event.pii_kinds)
    if event.revealed_kinds:
        body["revealed_kinds"] = dict(event.revealed_kinds)
    if event.alert:
        body["alert"] = {name: _cut(value) for name, value in event.alert.items()}
    # A lone surrogate cannot be encoded as UTF-8, but JSON has an escape for it.
    return _encode(body).encode("utf-8", "backslashreplace")[:-1]


def seal_line(draft: bytes, head: ChainHead, keyed_hash: hmac.HMAC) -> tuple[bytes, ChainHead]:
    """The complete line without its newline, and the new head. `keyed_hash` is an HMAC object with the chain key.

    The object is copied for each line. `hmac.digest` would release the interpreter lock and wait to get it back, for
    every event, while the event loop is busy.
    """
    seq = head.seq + 1
    sealed_part = b'%b,"journal_id":"%b","seq":%d,"prev":"%b"}' % (
        draft,
        head.journal_id.encode(),
        seq,
        head.digest.encode(),
    )
    seal = keyed_hash.copy()
    seal.update(sealed_part)
    line = b'%b%b%b"}' % (sealed_part[:-1], _HASH_MEMBER, seal.hexdigest().encode())
    return line, ChainHead(head.journal_id, seq, line_digest(line))


def line_digest(line: bytes) -> str:
    """SHA-256 of a line without its newline, in hexadecimal: the `prev` of the next line."""
    return hashlib.sha256(line).hexdigest()


def line_is_sealed(line: bytes, chain_key: bytes) -> bool:
    """Whether the seal of this line was computed with the chain key."""
    sealed_part = line[:-_HASH_SUFFIX_LENGTH] + b"}"
    suffix = line[-_HASH_SUFFIX_LENGTH:]
    if not suffix.startswith(_HASH_MEMBER) or not suffix.endswith(b'"}'):
        return False
    expected = hmac.digest(chain_key, sealed_part, "sha256").hex().encode()
    return hmac.compare_digest(expected, suffix[len(_HASH_MEMBER) : -2])


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent(AuditEvent):
    """An event that was read from a journal or from the stream. `entry_id` is its id in the stream, if any."""

    timestamp: datetime
    event_id: str
    journal_id: str
    seq: int
    prev: str
    hash: str
    service: str
    entry_id: str | None = field(default=None, compare=False)

    @classmethod
    def from_line(cls, line: bytes | str, *, entry_id: str | None = None) -> "RecordedEvent":
        """Parses one line. Unknown members are ignored. Raises ValueError if it is not a valid audit line.

        Types are checked, because the stream and the files may have been written by something other than a journal.
        """
        try:
            members: Mapping[str, Any] = json.loads(line)
            known: dict[str, Any] = {name: members[name] for name in _MEMBER_NAMES if name in members}
            known["timestamp"] = datetime.fromisoformat(known["timestamp"])
            known["outcome"] = Outcome(known["outcome"])
            event = _EVENT_ADAPTER.validate_python(known | {"entry_id": entry_id})
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("not a valid audit line") from error
        if event.timestamp.tzinfo is None:
            raise ValueError("not a valid audit line: its timestamp has no time zone")
        return event


_EVENT_ADAPTER = TypeAdapter(RecordedEvent)
_MEMBER_NAMES = tuple(each.name for each in fields(RecordedEvent) if each.name != "entry_id")


def _timestamp(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest_ns // 1000:06d}Z"


def _cut(value: Any) -> Any:
    return value[:MAX_TEXT_CHARACTERS] if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS else value
