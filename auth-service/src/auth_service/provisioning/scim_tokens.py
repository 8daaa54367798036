"""The bearer tokens with which identity providers use SCIM, and which provider each belongs to."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from auth_service.federation.identity_provider import IdentityProvider
from auth_service.provisioning.scim_errors import ScimTokenRefused

__all__ = ["ScimTokens"]


class ScimTokens:
    """The providers by the digests of their tokens. While a token is replaced, two of a provider are accepted."""

    def __init__(self, providers: Iterable[IdentityProvider]) -> None:
        self._providers = [
            (hashlib.sha256(token.encode()).digest(), provider)
            for provider in providers
            for token in provider.scim_tokens
        ]

    def find(self, authorization_headers: Sequence[str]) -> IdentityProvider:
        """The provider of the only Authorization header. Raises `ScimTokenRefused`."""
        header = authorization_headers[0] if len(authorization_headers) == 1 else ""
        scheme, _, token = header.partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found: IdentityProvider | None = None
        for known, provider in self._providers:  # all of them, so that the time reveals nothing
            if hmac.compare_digest(known, digest):
                found = provider
        if scheme.lower() != "bearer" or found is None:
            raise ScimTokenRefused("send the token that auth.yaml declares for this provider as a bearer token")
        return found
