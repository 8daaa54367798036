"""A verified access token as typed values (RFC 9068 section 2.2), and the caller that sent it."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any, NamedTuple

__all__ = ["AccessToken", "Caller", "TokenStatus", "current_caller"]


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """Where the issuer publishes whether a token was revoked: the URI of a status list, and the index in it."""

    uri: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token whose signature, issuer, audience, type and lifetime have been verified.

    Times are seconds since the epoch. `subject` is the random id of a person, or the id of the client when the client
    acts on its own behalf. `client_id` and `token_id` are empty, and `issued_at_seconds` is None, if the token has no
    such claims. The token itself is not kept. `payload` is the JSON text of its claims: the parsed objects would take
    many times as much memory in a cache of thousands of tokens. `status` is None for issuers without status lists.
    `withheld_scopes` are scopes of the token that are missing in `scopes` while its status is not known well enough.
    """

    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    expires_at_seconds: float
    issued_at_seconds: float | None
    token_id: str
    key_id: str
    payload: bytes = field(default=b"{}", repr=False)
    status: TokenStatus | None = None
    withheld_scopes: frozenset[str] = frozenset()

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims. They are parsed at every access: for rare uses that need more than the fields above."""
        claims: Mapping[str, Any] = json.loads(self.payload)
        return claims

    @property
    def size_bytes(self) -> int:
        """The approximate memory that the token takes."""
        texts = (self.issuer, self.subject, self.client_id, self.token_id, self.key_id, *self.audience, *self.scopes)
        return sum(map(getsizeof, (self, self.payload, self.audience, self.scopes, *texts)))


class Caller(NamedTuple):
    """One authenticated request: its verified token and its origin.

    `source_address` is the client's IP address, read behind declared proxies; `trace_id` has 32 hexadecimal digits.
    A named tuple and not a frozen dataclass: one is created for every request, and a tuple takes a third of the time.
    """

    token: AccessToken
    source_address: str
    trace_id: str


# Set by the guard; read by `secure_tool` and by the tools.
current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)
