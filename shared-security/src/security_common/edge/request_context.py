"""What the edge has read of a request: its headers, the client's address, the trace id, and the body once it is there.

The context is created once per request and stored in the ASGI scope. A layer further in finds it there and does not
repeat the work: a guard behind `Edge`, for example.
"""

import re
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from security_common.edge.asgi import Scope
from security_common.edge.client_address import ClientAddressReader
from security_common.edge.refusals import HeadersTooLarge, InvalidRequest, NotFound

__all__ = [
    "RequestContext",
    "RequestHeaders",
    "current_request",
    "find_request_context",
    "get_or_create_request_context",
    "parse_traceparent",
    "require_plain_path",
    "require_request_context",
]

_SCOPE_KEY = "security_common.request"

# W3C Trace Context section 3.2: version ff is invalid, and so are ids of zeros only.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATORS = ": \r\n"


class RequestHeaders:
    """The headers by name, in lower case.

    `trimmed` is the list of all headers without the whitespace after a value, which is not part of it (RFC 9110 section
    5.5) and which httptools keeps. `size_bytes` is their size on the wire.
    """

    __slots__ = ("_has_repeated", "_values", "size_bytes", "trimmed")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        # This runs for every request: the loops are left to built-in functions, and values are decoded on demand.
        self.trimmed = [(name, value.rstrip(b" \t")) for name, value in raw]
        self._values = dict(self.trimmed)
        self._has_repeated = len(self._values) != len(raw)
        self.size_bytes = sum(map(len, chain.from_iterable(raw))) + len(_SEPARATORS) * len(raw)

    def one(self, name: bytes) -> str | None:
        """The value, or None. Raises `InvalidRequest` when the header occurs more than once."""
        if self._has_repeated and sum(other == name for other, _ in self.trimmed) > 1:
            raise InvalidRequest(
                f"the request has more than one {name.decode().title()} header", hint="send the header once"
            )
        return self.last(name)

    def last(self, name: bytes) -> str | None:
        """The last value, or None. For headers where a repetition is harmless."""
        value = self._values.get(name)
        return None if value is None else value.decode("latin-1")

    def all(self, name: bytes) -> list[str]:
        """Every value, in the order of the request."""
        if name not in self._values:
            return []
        return [value.decode("latin-1") for other, value in self.trimmed if other == name]

    def require_size(self, max_bytes: int) -> None:
        """Raises `HeadersTooLarge`."""
        if self.size_bytes > max_bytes:
            raise HeadersTooLarge(
                f"the request headers are larger than {max_bytes} bytes", hint="send fewer or shorter headers"
            )

    def __contains__(self, name: bytes) -> bool:
        return name in self._values


@dataclass(slots=True)
class RequestContext:
    """`source_address` is the client's IP address, `trace_id` has 32 hexadecimal digits.

    `body` is None until the body has been read, and `document` is the JSON in it if a guard hands it on.
    `received_at_seconds` is the `time.perf_counter()` at which the request was complete, the body included if it was
    read.
    """

    headers: RequestHeaders = field(repr=False)
    source_address: str
    trace_id: str
    body: bytes | None = field(default=None, repr=False)
    received_at_seconds: float = 0.0
    document: Any = field(default=None, repr=False)

    def set_body(self, body: bytes) -> None:
        """Stores the body that was read."""
        self.body = body
        self.received_at_seconds = time.perf_counter()


current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)
"""The request that is being served, for log lines."""


def require_request_context(scope: Scope) -> RequestContext:
    """The context of this request. Raises KeyError when neither `Edge` nor a guard has handled the request."""
    return scope[_SCOPE_KEY]


def find_request_context(scope: Scope) -> RequestContext | None:
    """The context of this request, or None when neither `Edge` nor a guard has handled it."""
    return scope.get(_SCOPE_KEY)


def get_or_create_request_context(
    scope: Scope, *, read_address: ClientAddressReader, random_bytes: Callable[[int], bytes]
) -> RequestContext:
    """The context of this request; it is created unless a layer further out has done so.

    The scope gets the trimmed headers, and behind a proxy the address of the client, so that the application sees the
    same values.
    """
    known = scope.get(_SCOPE_KEY)
    if known is not None:
        return known
    headers = RequestHeaders(scope["headers"])
    scope["headers"] = headers.trimmed
    source_address = read_address(scope)
    client = scope.get("client")
    if client and client[0] != source_address:
        scope["client"] = (source_address, 0)  # the port is that of the proxy's connection
    traceparent = headers.last(b"traceparent")
    trace_id = parse_traceparent(traceparent) if traceparent is not None else None
    context = RequestContext(
        headers, source_address, trace_id or random_bytes(16).hex(), received_at_seconds=time.perf_counter()
    )
    scope[_SCOPE_KEY] = context
    return context


def require_plain_path(scope: Scope) -> None:
    """Raises `NotFound` for a path with a control character (U+0000 to U+001F, U+007F).

    No endpoint has one. A route of Starlette also matches a path with a line break at its end, while limits and rules
    that are found by the exact path do not.
    """
    path: str = scope["path"]
    if not path.isprintable() and _CONTROL_CHARACTER.search(path):
        raise NotFound("the path contains a control character", hint="remove line breaks and the like from the URL")


def parse_traceparent(value: str) -> str | None:
    """The trace id of a `traceparent` header (W3C Trace Context), or None when the header is not valid."""
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, further_fields = match.groups()
    if version == "00" and further_fields is not None:  # only later versions may append fields
        return None
    return trace_id
