"""One event as one line: canonical JSON, sealed into the chain; and the way back to typed values.

    {"action_taken":"executed", ... ,"timestamp":"...","user_id":"u_1"   the event, keys sorted, no spaces, UTF-8
     ,"journal_id":"...","seq":7,"prev":"<SHA-256 of line 6>"            its place in the journal
     ,"hash":"<HMAC-SHA256 of every byte above, closed with }>"}

`prev` needs no key, so a signed checkpoint over one line covers every line before it for anyone who holds the public
key. `hash` needs the chain key, so whoever can write the file but does not hold the key cannot make a line.
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

__all__ = ["GENESIS", "ChainHead", "RecordedEvent", "draft_line", "line_digest", "line_is_sealed", "seal_line", "uuid7"]

GENESIS = "0" * 64
"""`prev` of the first line of a journal."""

TEXT_LIMIT = 512
"""Characters kept of any text field: a caller chooses some of them, and a line must stay small."""

_ALWAYS = ("event_type", "tool_name", "user_id", "client_id", "contains_pii", "action_taken")
_WHEN_KNOWN = ("outcome", "reason", "issuer", "source_address", "subject_reference", "task", "trace_id", "duration_ms")
_HASH_MEMBER = b',"hash":"'
_HASH_SUFFIX_LENGTH = len(_HASH_MEMBER) + 64 + len(b'"}')

_UUID7_RANDOM_BITS = (1 << 76) - 1 & ~(0x3 << 62)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last line of a journal: what the next one links to. `seq` 0 means the journal has no line yet."""

    journal_id: str
    seq: int = 0
    digest: str = GENESIS


def uuid7(unix_ms: int, randomness: bytes) -> str:
    """A time-ordered identifier (RFC 9562 section 5.7) from milliseconds since the epoch and 10 random bytes."""
    random_bits = int.from_bytes(randomness[:10])
    version_and_variant = 0x7 << 76 | 0x2 << 62
    digits = f"{unix_ms << 80 | version_and_variant | random_bits & _UUID7_RANDOM_BITS:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def draft_line(event: AuditEvent, *, service: str, time_ns: int, event_id: str) -> bytes:
    """The event's own part of the line, still open: `seal_line` adds its place in the journal."""
    body: dict[str, Any] = {"event_id": event_id, "service": service, "timestamp": _timestamp(time_ns)}
    for name in _ALWAYS:
        body[name] = _bounded(getattr(event, name))
    for name in _WHEN_KNOWN:
        value = getattr(event, name)
        if value is not None:
            body[name] = _bounded(value)
    if event.pii_kinds:
        body["pii_kinds"] = dict(event.pii_kinds)
    if event.alert:
        body["alert"] = dict(event.alert)
    # A lone surrogate has no UTF-8, but JSON has an escape for it.
    return _encode(body).encode("utf-8", "backslashreplace")[:-1]


def seal_line(draft: bytes, head: ChainHead, keyed: hmac.HMAC) -> tuple[bytes, ChainHead]:
    """The finished line, without its newline, and the head it makes. `keyed` holds the chain key, and is copied.

    `hmac.digest` would let go of the interpreter and wait to have it back: at every event, beside a busy event loop.
    """
    seq = head.seq + 1
    signed = b'%b,"journal_id":"%b","seq":%d,"prev":"%b"}' % (
        draft,
        head.journal_id.encode(),
        seq,
        head.digest.encode(),
    )
    seal = keyed.copy()
    seal.update(signed)
    line = b'%b%b%b"}' % (signed[:-1], _HASH_MEMBER, seal.hexdigest().encode())
    return line, ChainHead(head.journal_id, seq, line_digest(line))


def line_digest(line: bytes) -> str:
    """SHA-256 of a line without its newline, in hexadecimal: the next line's `prev`."""
    return hashlib.sha256(line).hexdigest()


def line_is_sealed(line: bytes, chain_key: bytes) -> bool:
    """Whether this line, by itself, was made with the chain key."""
    signed, suffix = line[:-_HASH_SUFFIX_LENGTH] + b"}", line[-_HASH_SUFFIX_LENGTH:]
    if not suffix.startswith(_HASH_MEMBER) or not suffix.endswith(b'"}'):
        return False
    expected = hmac.digest(chain_key, signed, "sha256").hex().encode()
    return hmac.compare_digest(expected, suffix[len(_HASH_MEMBER) : -2])


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent(AuditEvent):
    """An event as the trail gives it back. `cursor` is its place in the stream, when it was read from there."""

    timestamp: datetime
    event_id: str
    journal_id: str
    seq: int
    prev: str
    hash: str
    service: str
    cursor: str | None = field(default=None, compare=False)

    @classmethod
    def from_line(cls, line: bytes | str, *, cursor: str | None = None) -> "RecordedEvent":
        """Parses one line. Raises ValueError when it is no audit line; members it does not know are left out.

        Types are checked: whoever may write to the stream, or to the files, chooses what readers are given.
        """
        try:
            members: Mapping[str, Any] = json.loads(line)
            known: dict[str, Any] = {name: members[name] for name in _NAMES if name in members}
            known["timestamp"] = datetime.fromisoformat(known["timestamp"])
            known["outcome"] = Outcome(known["outcome"])
            found = _RECORDED.validate_python(known | {"cursor": cursor})
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("not an audit line") from error
        if found.timestamp.tzinfo is None:
            raise ValueError("not an audit line: its timestamp names no time zone")
        return found


_RECORDED = TypeAdapter(RecordedEvent)
_NAMES = tuple(each.name for each in fields(RecordedEvent) if each.name != "cursor")


def _timestamp(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest_ns // 1000:06d}Z"


def _bounded(value: Any) -> Any:
    return value[:TEXT_LIMIT] if isinstance(value, str) and len(value) > TEXT_LIMIT else value
