"""The audit page as an OAuth client: signing in and out at the issuer.

RFC 6749 section 4.1, RFC 7636, RFC 7523, RFC 9207, OpenID Connect Core 1.0, RP-Initiated Logout 1.0.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from mcp_resource_service.audit_page.sessions import SignedInUser
from mcp_resource_service.issuer_endpoints import IssuerEndpoints, own_issuer, read_endpoints
from mcp_resource_service.scopes import ACCESS_SCOPE, AUDIT_SCOPE
from mcp_resource_service.settings import ResourceSettings
from security_common.errors import SecurityError
from security_common.secret_files import read_secret_file
from security_common.tokens import KeysUnavailable, TokenRejected, TokenVerifier
from security_common.tokens.errors import IssuerUnreachable

__all__ = [
    "CLIENT_ID",
    "AuditScopeMissing",
    "OAuthSignIn",
    "SignInFailed",
    "TooManySignIns",
    "make_client_assertion",
    "read_private_key",
]

CLIENT_ID = "audit-page"
# Authlib's default of one hour is more than a strict issuer accepts.
ASSERTION_SECONDS = 60
# For all requests to the issuer of one callback together.
EXCHANGE_SECONDS = 15.0


class SignInFailed(SecurityError):
    """The sign-in did not result in a valid token. A new sign-in may succeed."""

    error: ClassVar[str] = "sign_in_failed"


class AuditScopeMissing(SecurityError):
    """`user` signed in, but the token does not have the scope mcp.audit."""

    error: ClassVar[str] = "insufficient_scope"

    def __init__(self, user: SignedInUser) -> None:
        super().__init__("this account is not an auditor", hint="request the role `auditor`, then sign in again")
        self.user = user


class TooManySignIns(SecurityError):
    """One address started too many sign-ins; each of them occupies memory until it expires."""

    error: ClassVar[str] = "too_many_sign_ins"


class PrivateKeyInvalid(SecurityError):
    """The file of MCP_AUDIT_PAGE_PRIVATE_KEY_FILE does not contain a private JWK."""

    error: ClassVar[str] = "private_key_invalid"


class OAuthSignIn:
    """Sign-in with authorization code, PKCE and private_key_jwt; `clock` returns seconds since the epoch."""

    def __init__(
        self,
        settings: ResourceSettings,
        key_file: Path,
        *,
        http: httpx2.AsyncClient,
        verifier: TokenVerifier,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._key = read_private_key(key_file)
        self._http = http
        self._verifier = verifier
        self._clock = clock
        self._redirect_uri = f"{settings.origin}/audit/callback"
        self._tls = httpx2.create_ssl_context()

    async def begin(
        self, request: Request, *, state: str, language: str, other_account: bool
    ) -> tuple[Response, Mapping[str, Any]]:
        """Returns the redirect to the issuer with this `state`, and the data that `finish` needs.

        With `other_account` the issuer asks for an account even if the browser is signed in.

        Raises:
            IssuerUnreachable: the issuer's metadata cannot be fetched.
            IssuerMismatch: the metadata names another issuer.

        """
        request.scope["session"] = {}
        client = self._client(await read_endpoints(self._http, own_issuer(self._settings)))
        redirect: Response = await client.authorize_redirect(
            request,
            self._redirect_uri,
            state=state,
            resource=self._settings.resource,
            ui_locales=language,
            **({"prompt": "login"} if other_account else {}),
        )
        return redirect, request.session

    async def finish(self, request: Request, state: Mapping[str, Any]) -> SignedInUser:
        """Exchanges the code of the authorization response for tokens, and returns the user, who is an auditor.

        Raises:
            SignInFailed: the issuer refused, the response is from another issuer, or the token is not valid.
            AuditScopeMissing: the token does not have the scope mcp.audit.

        """
        request.scope["session"] = dict(state)
        try:
            async with asyncio.timeout(EXCHANGE_SECONDS):
                endpoints = await read_endpoints(self._http, own_issuer(self._settings))
                self._check_issuer(request.query_params.get("iss", ""), required=endpoints.sends_iss)
                client = self._client(endpoints)
                response: dict[str, Any] = await client.authorize_access_token(
                    request, resource=self._settings.resource
                )
                token = await self._verifier.verify(str(response["access_token"]))
        except SignInFailed:
            raise
        except OAuthError as failure:
            raise SignInFailed(f"the sign-in ended with {failure.error}", hint="sign in again") from failure
        except (SecurityError, JoseError, httpx2.HTTPError, TimeoutError, KeyError, ValueError) as failure:
            raise SignInFailed("the sign-in could not be completed", hint="sign in again") from failure
        user = SignedInUser(
            issuer=token.issuer,
            subject=token.subject,
            expires_at_seconds=token.expires_at_seconds,
            id_token=str(response.get("id_token", "")),
            token=replace(token, payload=b"{}"),
        )
        if AUDIT_SCOPE not in token.scopes:
            raise AuditScopeMissing(user)
        return user

    async def is_valid(self, user: SignedInUser) -> bool:
        """Returns whether the access token of the sign-in was not revoked since.

        Raises IssuerUnreachable if the issuer does not say so.
        """
        if user.token is None:
            return True
        try:
            token = await self._verifier.verify_again(user.token)
        except TokenRejected:
            return False
        except KeysUnavailable as failure:
            raise IssuerUnreachable(failure.description, hint=failure.hint) from failure
        if AUDIT_SCOPE in token.withheld_scopes:
            raise IssuerUnreachable(
                "the issuer does not say whether the token was revoked", hint="try again in a moment"
            )
        return True

    def _check_issuer(self, iss: str, *, required: bool) -> None:
        """Checks the `iss` of the authorization response (RFC 9207 section 2.4).

        It may be absent only if the issuer does not announce it.
        """
        if iss != self._settings.issuer and (iss or required):
            raise SignInFailed("the response does not name the expected issuer", hint="sign in again")

    async def logout_url(self, auditor: SignedInUser, *, language: str) -> str:
        """Returns the URL at which the issuer ends its own session; empty if it has no such endpoint.

        Raises IssuerUnreachable or IssuerMismatch.
        """
        endpoints = await read_endpoints(self._http, own_issuer(self._settings))
        if not endpoints.end_session_endpoint or not auditor.id_token:
            return ""
        return_url = f"{self._settings.origin}/audit/signed-out?language={language}"
        parameters = {"id_token_hint": auditor.id_token, "post_logout_redirect_uri": return_url, "ui_locales": language}
        return f"{endpoints.end_session_endpoint}?{urlencode(parameters)}"

    def _client(self, endpoints: IssuerEndpoints) -> Any:
        """Returns Authlib's client with the current metadata: sign-ins are rare, and the endpoints may have changed."""
        # The audience of the assertion is the issuer, as in both MCP SDKs (draft-ietf-oauth-rfc7523bis).
        assertion = PrivateKeyJWT(
            self._settings.issuer,
            claims={"exp": int(self._clock()) + ASSERTION_SECONDS},
            headers={"kid": self._key.thumbprint()},
            alg=_assertion_algorithm(self._key),
        )
        registry: Any = OAuth()
        return registry.register(
            "issuer",
            client_id=CLIENT_ID,
            client_secret=self._key,
            authorize_url=endpoints.authorization_endpoint,
            access_token_url=endpoints.token_endpoint,
            jwks_uri=endpoints.jwks_uri,
            issuer=self._settings.issuer,
            client_auth_methods=[assertion],
            client_kwargs={
                "scope": f"openid {ACCESS_SCOPE} {AUDIT_SCOPE}",
                "token_endpoint_auth_method": assertion.name,
                "code_challenge_method": "S256",
                # Authlib opens an HTTP client for each request. Reading the CA certificates each time would take 25 ms
                # of CPU time, which unauthenticated clients could cause as often as they like.
                "verify": self._tls,
            },
        )


def _assertion_algorithm(key: jwk.Key) -> str:
    return "ES256" if key.key_type == "EC" else "RS256"


def make_client_assertion(key: jwk.Key, *, audience: str, now_seconds: float) -> str:
    """A JWT with which the audit page authenticates (RFC 7523 section 2.2), for the doctor."""
    claims = {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": audience,
        "iat": int(now_seconds),
        "exp": int(now_seconds) + ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode({"alg": _assertion_algorithm(key), "kid": key.thumbprint()}, claims, key)


def read_private_key(path: Path) -> jwk.Key:
    """Returns the private JWK in the file. Raises PrivateKeyInvalid."""
    setting = "MCP_AUDIT_PAGE_PRIVATE_KEY_FILE"
    hint = "it has to be a private JWK; `security-common setup` makes one"
    text = read_secret_file(path, setting=setting, error=PrivateKeyInvalid, hint=hint)
    try:
        key = jwk.import_key(json.loads(text))
    except (ValueError, TypeError, AttributeError, JoseError):
        # `from None`, because the cause can quote the key.
        raise PrivateKeyInvalid(f"{setting}: {path} is not a JWK", hint=hint) from None
    if not key.is_private:
        raise PrivateKeyInvalid(f"{setting}: {path} contains a public key", hint=hint)
    return key
