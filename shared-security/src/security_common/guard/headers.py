"""What a request says about itself, read from its ASGI scope once."""

import re
from collections.abc import Callable, Sequence

from security_common.guard.refusals import HeadersTooLarge

__all__ = ["RequestHeaders", "read_trace_id", "require_bounded"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE = "0" * 32


class RequestHeaders:
    """Headers by name, in lower case; a name may stand several times. `size_bytes` is their size on the wire."""

    __slots__ = ("_first", "_raw", "_repeated", "size_bytes")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        # Every request passes here: one walk, and nothing is decoded that nobody asks for.
        self._raw = raw
        self._first: dict[bytes, bytes] = {}
        self._repeated: set[bytes] = set()
        self.size_bytes = 0
        for name, value in raw:
            self.size_bytes += len(name) + len(value) + 4
            if name in self._first:
                self._repeated.add(name)
            else:
                self._first[name] = value

    def all(self, name: bytes) -> list[str]:
        if name in self._repeated:
            return [value.decode("latin-1") for each, value in self._raw if each == name]
        return [self._first[name].decode("latin-1")] if name in self._first else []

    def first(self, name: bytes) -> str | None:
        value = self._first.get(name)
        return None if value is None else value.decode("latin-1")

    def __contains__(self, name: bytes) -> bool:
        return name in self._first


def require_bounded(headers: RequestHeaders, max_bytes: int) -> None:
    """Raises `HeadersTooLarge`."""
    if headers.size_bytes > max_bytes:
        raise HeadersTooLarge(f"the headers may have {max_bytes} bytes in all")


def read_trace_id(headers: RequestHeaders, randomness: Callable[[int], bytes]) -> str:
    """The caller's trace id (W3C Trace Context), or a new one: 32 hex digits."""
    told = headers.first(b"traceparent")
    found = _TRACEPARENT.fullmatch(told) if told is not None else None
    return found[1] if found is not None and found[1] != _NO_TRACE else randomness(16).hex()
