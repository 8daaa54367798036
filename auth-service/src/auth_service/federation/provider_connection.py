"""One identity provider over the network: its metadata and keys, kept for a while, and token requests to it."""

import asyncio
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import structlog
from authlib.integrations.base_client import OAuthError as UpstreamOAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk

from auth_service.federation.gone_accounts import says_account_is_gone
from auth_service.federation.id_token_rules import (
    ID_TOKEN_RULES,
    REFRESHED_ID_TOKEN_RULES,
    IdTokenContext,
    check_id_token,
)
from auth_service.federation.identity_provider import IdentityProvider
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.federation.provider_http import ProviderHttp, deadline
from auth_service.federation.provider_keys import KeyNotFound, SignedToken, read_keys, verify_signature
from auth_service.federation.provider_metadata import ProviderMetadata, discovery_url, read_metadata
from auth_service.protocol import Clock

__all__ = ["ProviderConnection", "ProviderTokens"]

_FRESH_SECONDS = 3600.0
_RETRY_SECONDS = 5.0
_KEY_RETRY_SECONDS = 30.0
_ASSERTION_SECONDS = 60
_MAX_TOKEN_CHARACTERS = 32 * 1024
# Errors of a token request that are about this service's own client (RFC 6749 section 5.2).
_CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTokens:
    """A token response whose ID token, if any, satisfies all rules. `claims` are empty without an ID token."""

    claims: Mapping[str, Any]
    refresh_token: str | None = field(default=None, repr=False)


class ProviderConnection:
    """Requests to one provider. Every method raises `ProviderFailure`."""

    def __init__(self, provider: IdentityProvider, *, clock: Clock) -> None:
        self.provider = provider
        self._http = ProviderHttp(provider.declared.ca_file)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._metadata: ProviderMetadata | None = None
        self._fetched_at = 0.0
        self._failure: ProviderFailure | None = None
        self._failed_at = 0.0
        self._keys: tuple[jwk.Key, ...] = ()
        self._keys_fetched_at = 0.0

    async def metadata(self) -> ProviderMetadata:
        """The metadata, at most an hour old; the last one while the provider does not answer."""
        async with self._lock:
            now = self._clock()
            if self._metadata is not None and now - self._fetched_at < _FRESH_SECONDS:
                return self._metadata
            if self._failure is not None and now - self._failed_at < _RETRY_SECONDS:
                return self._last_known_metadata(self._failure)
            try:
                document = await self._http.get_json(discovery_url(self.provider))
                self._metadata = read_metadata(document, self.provider)
                self._fetched_at, self._failure = now, None
            except ProviderFailure as failure:
                self._failure, self._failed_at = failure, now
                log.warning(
                    "identity_provider_unusable",
                    provider=self.provider.id,
                    problem=failure.problem,
                    cause=failure.description,
                    hint=failure.hint,
                )
                return self._last_known_metadata(failure)
            return self._metadata

    async def keys(self) -> tuple[jwk.Key, ...]:
        """The signing keys, at most an hour old."""
        if not self._keys or self._clock() - self._keys_fetched_at >= _FRESH_SECONDS:
            await self._fetch_keys()
        return self._keys

    async def redeem_code(self, code: str, *, code_verifier: str, nonce: str) -> ProviderTokens:
        """The tokens for an authorization code; its ID token satisfies `ID_TOKEN_RULES`."""
        parameters = {"grant_type": "authorization_code", "code": code, "code_verifier": code_verifier}
        with _unusable_values_refused():
            response = await self._request_tokens({**parameters, "redirect_uri": self.provider.redirect_uri})
            if "id_token" not in response:
                raise ProviderFailure(ProviderProblem.BAD_RESPONSE, "the token response has no id_token")
            return await self._accept(response, nonce=nonce)

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        """The tokens for the refresh token that was kept for a user."""
        with _unusable_values_refused():
            response = await self._request_tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})
            return await self._accept(response, nonce=None)

    async def close(self) -> None:
        await self._http.close()

    def _last_known_metadata(self, failure: ProviderFailure) -> ProviderMetadata:
        """The metadata that was fetched before, unless the provider now names another issuer."""
        if self._metadata is None or failure.problem is ProviderProblem.MISCONFIGURED:
            raise failure
        return self._metadata

    async def _fetch_keys(self) -> None:
        metadata = await self.metadata()
        self._keys = read_keys(await self._http.get_json(metadata.jwks_uri))
        self._keys_fetched_at = self._clock()

    async def _verify(self, id_token: str) -> SignedToken:
        """An unknown key id causes one fetch of the keys, at most every 30 seconds."""
        try:
            return verify_signature(id_token, await self.keys())
        except KeyNotFound:
            if self._clock() - self._keys_fetched_at < _KEY_RETRY_SECONDS:
                raise ProviderFailure(ProviderProblem.BAD_ID_TOKEN, "the key of the ID token is unknown") from None
        await self._fetch_keys()
        try:
            return verify_signature(id_token, self._keys)
        except KeyNotFound:
            raise ProviderFailure(ProviderProblem.BAD_ID_TOKEN, "the key of the ID token is unknown") from None

    async def _accept(self, response: Mapping[str, Any], *, nonce: str | None) -> ProviderTokens:
        access_token, refresh_token = _text(response, "access_token"), _text(response, "refresh_token")
        id_token = _text(response, "id_token")
        claims: Mapping[str, Any] = {}
        if id_token is not None:
            signed = await self._verify(id_token)
            context = IdTokenContext(
                header=signed.header,
                claims=signed.claims,
                provider=self.provider,
                now=self._clock(),
                nonce=nonce,
                access_token=access_token,
            )
            check_id_token(context, REFRESHED_ID_TOKEN_RULES if nonce is None else ID_TOKEN_RULES)
            claims = signed.claims
        if access_token is not None and self.provider.preset.uses_userinfo:
            claims = await self._add_userinfo(claims, access_token)
        json.dumps(claims, ensure_ascii=False).encode()  # raises ValueError for text that cannot be stored
        return ProviderTokens(claims=claims, refresh_token=refresh_token)

    async def _add_userinfo(self, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        """The claims, and those of the userinfo endpoint that the ID token lacks (OpenID Connect Core section 5.3)."""
        endpoint = (await self.metadata()).userinfo_endpoint
        if endpoint is None:
            return claims
        userinfo = await self._http.get_json(endpoint, headers={"authorization": f"Bearer {access_token}"})
        if claims and userinfo.get("sub") != claims.get("sub"):
            raise ProviderFailure(ProviderProblem.BAD_RESPONSE, "the userinfo response is about another subject")
        return {**userinfo, **claims}

    async def _request_tokens(self, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        metadata, kind = await self.metadata(), self.provider.declared.kind
        async with deadline(metadata.token_endpoint), self._client(metadata) as client:
            try:
                response: Any = await client.fetch_token(metadata.token_endpoint, **parameters)
            except UpstreamOAuthError as error:
                raise _refusal(str(error.error), gone=says_account_is_gone(kind, error.description)) from error
            except httpx2.HTTPStatusError as error:
                raise _unexpected_status(metadata.token_endpoint, error.response.status_code) from error
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise ProviderFailure(
                    ProviderProblem.BAD_RESPONSE, f"{metadata.token_endpoint} did not answer with a token response"
                ) from error
        return cast("Mapping[str, Any]", response)

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


def _unexpected_status(url: str, status: int) -> ProviderFailure:
    problem = ProviderProblem.UNREACHABLE if status >= 500 or status == 429 else ProviderProblem.BAD_RESPONSE
    return ProviderFailure(problem, f"{url} answered {status} without a token response")


def _text(response: Mapping[str, Any], member: str) -> str | None:
    value = response.get(member)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_TOKEN_CHARACTERS:
        raise ProviderFailure(ProviderProblem.BAD_RESPONSE, f"{member} of the token response is not usable")
    return value
