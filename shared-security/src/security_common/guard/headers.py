"""What a request says about itself, read from its ASGI scope once."""

import re
from collections.abc import Callable, Iterable

from security_common.guard.refusals import HeadersTooLarge

__all__ = ["RequestHeaders", "read_trace_id", "require_bounded_headers"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE = "0" * 32


class RequestHeaders:
    """Headers by name, in lower case; a name may stand several times."""

    __slots__ = ("_values",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in raw:
            self._values.setdefault(name, []).append(value)

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for value in self._values.get(name, ())]

    def first(self, name: bytes) -> str | None:
        values = self._values.get(name)
        return values[0].decode("latin-1") if values else None

    def __contains__(self, name: bytes) -> bool:
        return name in self._values


def require_bounded_headers(raw: Iterable[tuple[bytes, bytes]], max_bytes: int) -> None:
    """Raises `HeadersTooLarge`; counted as on the wire."""
    if sum(len(name) + len(value) + 4 for name, value in raw) > max_bytes:
        raise HeadersTooLarge(f"the headers may have {max_bytes} bytes in all")


def read_trace_id(headers: RequestHeaders, randomness: Callable[[int], bytes]) -> str:
    """The caller's trace id (W3C Trace Context), or a new one: 32 hex digits."""
    found = _TRACEPARENT.fullmatch(headers.first(b"traceparent") or "")
    return found[1] if found is not None and found[1] != _NO_TRACE else randomness(16).hex()
