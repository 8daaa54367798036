"""Signing in and out through the issuer, as any other client would.

RFC 6749 section 4.1, RFC 7636, RFC 7523, RFC 9207, OpenID Connect Core 1.0, RP-Initiated Logout 1.0.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from mcp_resource_service.issuer_endpoints import IssuerEndpoints, own_issuer, read_endpoints
from mcp_resource_service.scopes import ACCESS_SCOPE, AUDIT_SCOPE
from mcp_resource_service.settings import ResourceSettings
from security_common.errors import SecurityError
from security_common.secret_files import read_secret_file
from security_common.tokens import TokenVerifier

__all__ = ["CLIENT_ID", "Auditor", "NoAuditor", "SignIn", "SignInFailed", "TooManySignIns"]

CLIENT_ID = "audit-page"
# Authlib's own hour is more than a careful issuer accepts.
ASSERTION_SECONDS = 60
# For the whole exchange with the issuer, however slowly it answers.
EXCHANGE_SECONDS = 15.0


class SignInFailed(SecurityError):
    """The sign-in did not end with a usable token; starting again may help."""

    error: ClassVar[str] = "sign_in_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Who is looking, and until when their token lets them; the ID token names them to the issuer when they leave."""

    issuer: str
    subject: str
    expires_at_seconds: float
    id_token: str = field(default="", repr=False)


class NoAuditor(SecurityError):
    """Signed in, but without the scope for everybody's trail; `who` wanted to look."""

    error: ClassVar[str] = "insufficient_scope"

    def __init__(self, who: Auditor) -> None:
        super().__init__("this account is no auditor", hint="ask for the role `auditor`, then sign in again")
        self.who = who


class TooManySignIns(SecurityError):
    """One address begins more sign-ins than people do; each is kept for a while."""

    error: ClassVar[str] = "too_many_sign_ins"


class PrivateKeyInvalid(SecurityError):
    """The file with the audit page's private key does not hold one."""

    error: ClassVar[str] = "private_key_invalid"


class SignIn:
    """The audit page as an OAuth client."""

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
        self._key = _read_private_key(key_file)
        self._http = http
        self._verifier = verifier
        self._clock = clock
        self._redirect_uri = f"{settings.origin}/audit/callback"
        self._tls = httpx2.create_ssl_context()

    async def begin(
        self, request: Request, *, state: str, language: str, as_another: bool
    ) -> tuple[Response, Mapping[str, Any]]:
        """The redirect to the issuer with this `state`, and what the callback will need to know.

        `as_another` asks for the account even where the issuer remembers one.
        """
        request.scope["session"] = {}
        client = self._client(await read_endpoints(self._http, own_issuer(self._settings)))
        redirect: Response = await client.authorize_redirect(
            request,
            self._redirect_uri,
            state=state,
            resource=self._settings.resource,
            ui_locales=language,
            **({"prompt": "login"} if as_another else {}),
        )
        return redirect, request.session

    async def finish(self, request: Request, state: Mapping[str, Any]) -> Auditor:
        """Who came back.

        Raises:
            SignInFailed: refused at the issuer, a mixed-up answer, or a token that does not verify.
            NoAuditor: a token without mcp.audit.

        """
        request.scope["session"] = dict(state)
        try:
            async with asyncio.timeout(EXCHANGE_SECONDS):
                endpoints = await read_endpoints(self._http, own_issuer(self._settings))
                self._check_issuer(request.query_params.get("iss", ""), announced=endpoints.sends_iss)
                client = self._client(endpoints)
                answer: dict[str, Any] = await client.authorize_access_token(request, resource=self._settings.resource)
                token = await self._verifier.verify(str(answer["access_token"]))
        except SignInFailed:
            raise
        except OAuthError as failure:
            raise SignInFailed(f"the sign-in ended with {failure.error}", hint="sign in again") from failure
        except (SecurityError, JoseError, httpx2.HTTPError, TimeoutError, KeyError, ValueError) as failure:
            raise SignInFailed("the sign-in could not be completed", hint="sign in again") from failure
        who = Auditor(
            issuer=token.issuer,
            subject=token.subject,
            expires_at_seconds=token.expires_at_seconds,
            id_token=str(answer.get("id_token", "")),
        )
        if AUDIT_SCOPE not in token.scopes:
            raise NoAuditor(who)
        return who

    def _check_issuer(self, named: str, *, announced: bool) -> None:
        """RFC 9207 section 2.4: the answer names our issuer; it may leave that out only where it was not announced."""
        if named != self._settings.issuer and (named or announced):
            raise SignInFailed("the answer does not name the issuer it comes from", hint="sign in again")

    async def logout_url(self, auditor: Auditor, *, language: str) -> str:
        """Where the issuer ends its own session and sends the browser back; empty when it offers no such thing.

        Raises IssuerUnreachable or IssuerMismatch.
        """
        endpoints = await read_endpoints(self._http, own_issuer(self._settings))
        if not endpoints.end_session_endpoint or not auditor.id_token:
            return ""
        back = f"{self._settings.origin}/audit/signed-out?language={language}"
        asked = {"id_token_hint": auditor.id_token, "post_logout_redirect_uri": back, "ui_locales": language}
        return f"{endpoints.end_session_endpoint}?{urlencode(asked)}"

    def _client(self, endpoints: IssuerEndpoints) -> Any:
        """Authlib's client, from today's metadata: sign-ins are rare, and the issuer may have moved."""
        algorithm = "ES256" if self._key.key_type == "EC" else "RS256"
        # The assertion names the issuer as its audience, as both MCP SDKs do (draft-ietf-oauth-rfc7523bis).
        assertion = PrivateKeyJWT(
            self._settings.issuer,
            claims={"exp": int(self._clock()) + ASSERTION_SECONDS},
            headers={"kid": self._key.thumbprint()},
            alg=algorithm,
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
                # Authlib opens a client each time; to read the certificates each time as well lets strangers stop us.
                "verify": self._tls,
            },
        )


def _read_private_key(path: Path) -> jwk.Key:
    """The private JWK in the file. Raises `PrivateKeyInvalid`."""
    setting, hint = "MCP_AUDIT_PAGE_PRIVATE_KEY_FILE", "it holds a private JWK; `security-common setup` makes one"
    text = read_secret_file(path, setting=setting, error=PrivateKeyInvalid, hint=hint)
    try:
        key = jwk.import_key(json.loads(text))
    except (ValueError, TypeError, AttributeError, JoseError):  # no `from`: the cause can quote the key
        raise PrivateKeyInvalid(f"{setting}: {path} is not a JWK", hint=hint) from None
    if not key.is_private:
        raise PrivateKeyInvalid(f"{setting}: {path} holds a public key", hint=hint)
    return key
