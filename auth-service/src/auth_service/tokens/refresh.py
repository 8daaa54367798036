"""What introspection and revocation need to know of refresh tokens, which the refresh grant keeps."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["RefreshTokenView", "RefreshTokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenView:
    """A refresh token of a family that has not ended. `family` is the grant it belongs to; `expires_at_seconds` is
    since the epoch; `is_current` is False when it was rotated since.
    """

    family: str
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    resource: str
    expires_at_seconds: int
    is_current: bool


class RefreshTokens(Protocol):
    """The store of refresh families."""

    async def look_up(self, token: str) -> RefreshTokenView | None:
        """The token when it is one of ours and its family has not ended, else None."""
        ...

    async def end_family(self, family: str) -> None:
        """No refresh token of this family can be used any more; ending it twice is no error."""
        ...
