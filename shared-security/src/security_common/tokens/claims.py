"""What a verified access token says, parsed once into typed values (RFC 9068 section 2.2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any

__all__ = ["AccessToken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token whose signature, issuer, audience, type and lifetime have been checked.

    Times are seconds since the epoch. `subject` is a person's random id, or the client's id when the client acts for
    itself. `client_id` and `token_id` are empty, and `issued_at_seconds` is None, where the issuer does not write them.
    The token string is not kept. `payload` is its second part as JSON: objects made of it would take many times the
    memory in a cache of thousands of tokens.
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

    @property
    def claims(self) -> Mapping[str, Any]:
        """The whole payload, parsed at each access: for the rare rule that needs more than the fields above."""
        claims: Mapping[str, Any] = json.loads(self.payload)
        return claims

    @property
    def size_bytes(self) -> int:
        """About how much memory the token takes."""
        texts = (self.issuer, self.subject, self.client_id, self.token_id, self.key_id, *self.audience, *self.scopes)
        return sum(map(getsizeof, (self, self.payload, self.audience, self.scopes, *texts)))
