"""What a verified access token says, parsed once into typed values (RFC 9068 section 2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AccessToken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token whose signature, issuer, audience, type and lifetime have been checked.

    Times are seconds since the epoch. `subject` is a person's random id, or the client's id when the client acts for
    itself. `client_id` and `token_id` are empty, and `issued_at_seconds` is None, where the issuer does not write them.
    `claims` holds the whole payload for the rare rule that needs more; the token string is not kept.
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
    claims: Mapping[str, Any] = field(repr=False)
