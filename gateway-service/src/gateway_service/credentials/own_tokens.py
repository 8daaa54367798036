"""Tokens for the gateway itself, with the grant client_credentials: every caller uses the same one."""

from collections.abc import Mapping

from gateway_service.credentials.token_cache import TokenCache
from gateway_service.credentials.token_client import IssuedToken, TokenClient
from gateway_service.declaration import TokenTarget

__all__ = ["OwnTokenCredential", "bearer_header", "target_fields", "token_of"]

# The key of the only token in the cache.
_ONE = "own"


class OwnTokenCredential:
    """Requests a token when it is needed first, and again before it expires."""

    def __init__(self, client: TokenClient, target: TokenTarget) -> None:
        self._client = client
        self._form = {"grant_type": "client_credentials", **target_fields(target)}
        self._tokens = TokenCache[str]()

    async def headers(self, owner: str) -> Mapping[str, str]:
        """The header with the token."""
        del owner
        return bearer_header(await self._tokens.get(_ONE, self._request))

    async def renew(self, owner: str, refused: Mapping[str, str]) -> Mapping[str, str] | None:
        """The header with another token; None if the one before was refused a moment ago."""
        if not self._tokens.discard(_ONE, token_of(refused)):
            return None
        return await self.headers(owner)

    async def close(self) -> None:
        """Ends a request that is in progress."""
        await self._tokens.close()

    async def _request(self) -> IssuedToken:
        return await self._client.request(self._form)


def target_fields(target: TokenTarget) -> dict[str, str]:
    """The parameters that name what a token is for."""
    # Issuers that do not know RFC 8707 have a parameter `audience`.
    fields = {"audience": target.audience} if target.audience else {"resource": target.resource}
    return {**fields, "scope": " ".join(target.scopes)} if target.scopes else fields


def bearer_header(token: str) -> Mapping[str, str]:
    """The header with an access token (RFC 6750 section 2.1)."""
    return {"Authorization": f"Bearer {token}"}


def token_of(headers: Mapping[str, str]) -> str:
    """The token in the header that `bearer_header` has made."""
    return headers["Authorization"].removeprefix("Bearer ")
