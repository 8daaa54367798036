"""What a request says about itself, read from its ASGI scope once."""

import re
from collections.abc import Callable, Sequence
from itertools import chain

from security_common.guard.refusals import HeadersTooLarge, InvalidRequest

__all__ = ["RequestHeaders", "read_trace_id", "require_bounded"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE = "0" * 32
SEPARATORS = ": \r\n"


class RequestHeaders:
    """Headers by name, in lower case; a name may stand several times.

    `trimmed` has them without the spaces after a value, which are no part of it (RFC 9110 section 5.5); httptools
    leaves them there. `size_bytes` is their size on the wire.
    """

    __slots__ = ("_some_repeat", "_values", "size_bytes", "trimmed")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        # Every request passes here: the walks are left to C, and nothing is decoded that nobody asks for.
        self.trimmed = [(name, value.rstrip(b" \t")) for name, value in raw]
        self._values = dict(self.trimmed)
        self._some_repeat = len(self._values) != len(raw)
        self.size_bytes = sum(map(len, chain.from_iterable(raw))) + len(SEPARATORS) * len(raw)

    def one(self, name: bytes) -> str | None:
        """The only value; None when there is none. Raises `InvalidRequest` for several: which counts is a guess."""
        if self._some_repeat and sum(each == name for each, _ in self.trimmed) > 1:
            raise InvalidRequest(f"the request has two {name.decode().title()} headers")
        return self.last(name)

    def last(self, name: bytes) -> str | None:
        """A value where several would mean nothing worse than one; None when there is none."""
        value = self._values.get(name)
        return None if value is None else value.decode("latin-1")

    def __contains__(self, name: bytes) -> bool:
        return name in self._values


def require_bounded(headers: RequestHeaders, max_bytes: int) -> None:
    """Raises `HeadersTooLarge`."""
    if headers.size_bytes > max_bytes:
        raise HeadersTooLarge(f"the headers may have {max_bytes} bytes in all")


def read_trace_id(headers: RequestHeaders, randomness: Callable[[int], bytes]) -> str:
    """The caller's trace id (W3C Trace Context), or a new one: 32 hex digits."""
    told = headers.last(b"traceparent")
    found = _TRACEPARENT.fullmatch(told) if told is not None else None
    return found[1] if found is not None and found[1] != _NO_TRACE else randomness(16).hex()
