"""One identity provider over the network: its metadata and keys, kept for a while, and token requests to it."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError as UpstreamOAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk, jwt

from auth_service.federation.cached_document import CachedDocument
from auth_service.federation.gone_accounts import says_account_is_gone
from auth_service.federation.id_jag_rules import IdJagContext, check_id_jag
from auth_service.federation.id_token_rules import (
    ID_TOKEN_RULES,
    REFRESHED_ID_TOKEN_RULES,
    IdTokenContext,
    check_id_token,
)
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.logout_token_rules import LOGOUT_TOKEN_RULES
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.federation.provider_http import ProviderHttp, deadline, unexpected_status
from auth_service.federation.provider_keys import KeyNotFound, read_keys, verify_signature
from auth_service.federation.provider_metadata import ProviderMetadata, discovery_url, read_metadata
from auth_service.protocol import Clock

__all__ = ["ProviderConnection", "ProviderTokens", "TokenResponse"]

_KEY_RETRY_SECONDS = 30.0
_PAUSE_SECONDS = 30.0
_ASSERTION_SECONDS = 60
_MAX_TOKEN_CHARACTERS = 32 * 1024
# Errors of a token request that are about this service's own client (RFC 6749 section 5.2).
_CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """A token response of the provider. Its ID token is not verified yet."""

    access_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTokens:
    """The claims of an ID token that satisfies all rules, and of userinfo.

    A response to a refresh may lack the ID token (`has_id_token` is false): then only userinfo, if any, has claims.
    """

    claims: Mapping[str, Any]
    has_id_token: bool
    refresh_token: str | None = field(default=None, repr=False)


class ProviderConnection:
    """Requests to one provider. Every method raises `ProviderFailure`."""

    def __init__(self, provider: IdentityProvider, *, clock: Clock) -> None:
        self.provider = provider
        self._http = ProviderHttp(provider.declared.ca_file)
        self._clock = clock
        self._metadata = CachedDocument(self._fetch_metadata, provider_id=provider.id, name="metadata", clock=clock)
        self._paused_until_seconds = 0.0
        self.signing_keys = CachedDocument(self._fetch_keys, provider_id=provider.id, name="keys", clock=clock)

    @property
    def is_paused(self) -> bool:
        """Whether the provider did not answer a moment ago, so that requests without a user should wait."""
        return self._clock() < self._paused_until_seconds

    async def metadata(self) -> ProviderMetadata:
        """The metadata, at most an hour old; the last one while the provider does not answer."""
        return await self._metadata.read()

    async def redeem_code(self, code: str, *, code_verifier: str, nonce: str) -> ProviderTokens:
        """The tokens for an authorization code; its ID token satisfies `ID_TOKEN_RULES`."""
        parameters = {"grant_type": "authorization_code", "code": code, "code_verifier": code_verifier}
        response = await self._request_tokens({**parameters, "redirect_uri": self.provider.redirect_uri})
        if response.id_token is None:
            raise ProviderFailure(ProviderProblem.BAD_RESPONSE, "the token response has no id_token")
        return await self._accept(response, nonce=nonce)

    async def refresh(self, refresh_token: str) -> TokenResponse:
        """The response for the refresh token that was kept for a user.

        A provider may have replaced that token, so the caller stores the new one before `read_refreshed`, which can
        fail.
        """
        try:
            return await self._request_tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})
        except ProviderFailure as failure:
            if failure.problem is ProviderProblem.UNREACHABLE:
                self._paused_until_seconds = self._clock() + _PAUSE_SECONDS
            raise

    async def read_refreshed(self, response: TokenResponse) -> ProviderTokens:
        """The claims of a response to `refresh`; its ID token, if any, satisfies `REFRESHED_ID_TOKEN_RULES`."""
        return await self._accept(response, nonce=None)

    async def verify(self, token: str) -> jwt.Token:
        """The header and claims of a token that the provider signed.

        An unknown key id causes one fetch of the keys, at most every 30 seconds.
        """
        keys = await self.signing_keys.read()
        try:
            return verify_signature(token, keys)
        except KeyNotFound:
            return verify_signature(token, await self.signing_keys.read(max_age_seconds=_KEY_RETRY_SECONDS))

    async def read_logout_token(self, token: str) -> Mapping[str, Any]:
        """The claims of a logout token that satisfies `LOGOUT_TOKEN_RULES`."""
        with _unusable_values_refused():
            signed = await self.verify(token)
            context = IdTokenContext(
                header=signed.header, claims=signed.claims, provider=self.provider, now=self._clock()
            )
            check_id_token(context, LOGOUT_TOKEN_RULES)
            return signed.claims

    async def read_id_jag(self, token: str, *, issuer: str, client_id: str) -> Mapping[str, Any]:
        """The claims of an ID-JAG that satisfies `ID_JAG_RULES`. `issuer` is that of this server."""
        with _unusable_values_refused():
            signed = await self.verify(token)
            context = IdJagContext(
                header=signed.header,
                claims=signed.claims,
                provider=self.provider,
                now=self._clock(),
                issuer=issuer,
                client_id=client_id,
            )
            check_id_jag(context)
            _check_storable(signed.claims)
            return signed.claims

    async def close(self) -> None:
        await self._http.close()

    async def _fetch_metadata(self) -> ProviderMetadata:
        return read_metadata(await self._http.get_json(discovery_url(self.provider)), self.provider)

    async def _fetch_keys(self) -> tuple[jwk.Key, ...]:
        metadata = await self.metadata()
        return read_keys(await self._http.get_json(metadata.jwks_uri))

    async def _accept(self, response: TokenResponse, *, nonce: str | None) -> ProviderTokens:
        with _unusable_values_refused():
            claims: Mapping[str, Any] = {}
            if response.id_token is not None:
                claims = await self._read_id_token(response.id_token, response.access_token, nonce)
            if response.access_token is not None and self.provider.preset.uses_userinfo:
                claims = await self._add_userinfo(claims, response.access_token)
            _check_storable(claims)
        return ProviderTokens(
            claims=claims, has_id_token=response.id_token is not None, refresh_token=response.refresh_token
        )

    async def _read_id_token(self, id_token: str, access_token: str | None, nonce: str | None) -> Mapping[str, Any]:
        signed = await self.verify(id_token)
        context = IdTokenContext(
            header=signed.header,
            claims=signed.claims,
            provider=self.provider,
            now=self._clock(),
            nonce=nonce,
            access_token=access_token,
        )
        check_id_token(context, REFRESHED_ID_TOKEN_RULES if nonce is None else ID_TOKEN_RULES)
        return signed.claims

    async def _add_userinfo(self, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        """The claims, and those of the userinfo endpoint that the ID token lacks (OpenID Connect Core section 5.3)."""
        endpoint = (await self.metadata()).userinfo_endpoint
        if endpoint is None:
            return claims
        userinfo = await self._http.get_json(endpoint, headers={"authorization": f"Bearer {access_token}"})
        if claims and userinfo.get("sub") != claims.get("sub"):
            raise ProviderFailure(ProviderProblem.BAD_RESPONSE, "the userinfo response is about another subject")
        return {**userinfo, **claims}

    async def _request_tokens(self, parameters: Mapping[str, str]) -> TokenResponse:
        metadata, kind = await self.metadata(), self.provider.declared.kind
        with _unusable_values_refused():
            async with deadline(metadata.token_endpoint), self._client(metadata) as client:
                try:
                    response: Any = await client.fetch_token(metadata.token_endpoint, **parameters)
                except UpstreamOAuthError as error:
                    raise _refusal(str(error.error), gone=says_account_is_gone(kind, error.description)) from error
                except httpx2.HTTPStatusError as error:
                    raise unexpected_status(metadata.token_endpoint, error.response.status_code) from error
            return TokenResponse(
                access_token=_text(response, "access_token"),
                id_token=_text(response, "id_token"),
                refresh_token=_text(response, "refresh_token"),
            )

    def _client(self, metadata: ProviderMetadata) -> Any:
        """Authlib's client, on the bounded connections of this provider."""
        key = self.provider.private_key
        method = "client_secret_post" if metadata.posts_secret else "client_secret_basic"
        client: Any = AsyncOAuth2Client(
            client_id=self.provider.declared.client_id,
            client_secret=key if key is not None else self.provider.client_secret,
            token_endpoint_auth_method="private_key_jwt" if key is not None else method,
            transport=self._http.transport,
            trust_env=False,
            follow_redirects=False,
        )
        if key is not None:
            client.register_client_auth_method(
                PrivateKeyJWT(
                    metadata.token_endpoint if self.provider.declared.internal_url is None else self.provider.issuer,
                    claims={"exp": int(self._clock()) + _ASSERTION_SECONDS},
                    headers={"kid": key.kid or key.thumbprint()},
                    alg="ES256" if key.key_type == "EC" else "RS256",
                )
            )
        return client


@contextmanager
def _unusable_values_refused() -> Generator[None]:
    """Values of a type, size or depth that no provider may send are a bad response, whatever code reads them first."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
        raise ProviderFailure(
            ProviderProblem.BAD_RESPONSE, f"the token response has an unusable value ({type(error).__name__})"
        ) from error


def _check_storable(claims: Mapping[str, Any]) -> None:
    """Raises ValueError for text that cannot be stored, such as half a surrogate pair."""
    json.dumps(claims, ensure_ascii=False).encode()


def _refusal(error: str, *, gone: bool) -> ProviderFailure:
    """The provider refused a token request with this OAuth error code."""
    code = error if error.isascii() and error.isprintable() and len(error) <= 64 else "invalid"
    if code in _CLIENT_ERRORS:
        return ProviderFailure(
            ProviderProblem.CLIENT_REFUSED,
            f"the provider refused this service's client ({code})",
            hint="the client secret or key in auth.yaml is wrong, or has expired: renew it at the provider",
            upstream_error=code,
        )
    problem = ProviderProblem.CODE_REFUSED if code == "invalid_grant" else ProviderProblem.ERROR
    description = f"the provider refused the token request ({code})"
    return ProviderFailure(problem, description, upstream_error=code, account_is_gone=gone)


def _text(response: Mapping[str, Any], member: str) -> str | None:
    value = response.get(member)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_TOKEN_CHARACTERS:
        raise ProviderFailure(ProviderProblem.BAD_RESPONSE, f"{member} of the token response is not usable")
    return value
