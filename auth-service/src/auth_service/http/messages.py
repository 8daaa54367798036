"""What a room's handler is given and what it gives back; neither knows the web framework."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from auth_service.errors import OAuthError
from security_common.cookies import parse_cookies

__all__ = ["PAGE", "READ", "WRITE", "Answer", "Endpoint", "Handler", "HttpRequest"]

_MEDIA_TYPE = re.compile(r"\s*([^;\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request, its body read whole and within the limit.

    `source_address` is the client's IP address behind declared proxies; `trace_id` is 32 hex digits. `query_string`
    and `body` are raw: `forms.parse_query` and `forms.parse_form` read them, strictly.
    """

    method: str
    path: str
    query_string: bytes
    raw_headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    body: bytes = field(repr=False)
    source_address: str
    trace_id: str

    def header(self, name: str) -> str | None:
        """The first value of a header, or None; `name` in lower case."""
        wanted = name.encode("ascii")
        return next((value.decode("latin-1") for key, value in self.raw_headers if key == wanted), None)

    def headers(self, name: str) -> list[str]:
        """Every value of a header; `name` in lower case."""
        wanted = name.encode("ascii")
        return [value.decode("latin-1") for key, value in self.raw_headers if key == wanted]

    @property
    def media_type(self) -> str:
        """The media type of the body in lower case, without parameters; empty when none is named."""
        found = _MEDIA_TYPE.match(self.header("content-type") or "")
        return found[1].lower() if found else ""

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name, in the order they were sent."""
        return parse_cookies(self.headers("cookie"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response. Header names are in lower case; a name may stand more than once (`set-cookie`)."""

    status: int = 200
    body: bytes = b""
    media_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


READ, WRITE = ("GET", "HEAD"), ("POST",)
PAGE = ("GET", "POST", "HEAD")

Handler: TypeAlias = Callable[[HttpRequest], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route as its room offers it; what it takes and answers stands in openapi.yaml.

    `cross_origin` lets scripts of any origin call it (CORS); never set where a cookie or a redirect is involved.
    `max_body_bytes` bounds what is read of the request. `metadata` is what the endpoint adds to the discovery
    documents, for example `{"userinfo_endpoint": "/oauth2/userinfo"}`: paths are made absolute there. `word_error`
    makes the answer to an error that the handler or the edge raised: a page where people look; left out, JSON.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...]
    cross_origin: bool = False
    max_body_bytes: int = 64 * 1024
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    word_error: Callable[[OAuthError, HttpRequest], Answer] | None = None
