"""Requests tokens at the token endpoint of one issuer, as one client (RFC 6749 section 3.2)."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import structlog

from gateway_service.credentials.client_authentication import ClientAuthentication
from gateway_service.credentials.credential import CredentialUnavailable
from gateway_service.declaration import OAuthClient
from security_common.bounded_fetch import REQUEST_HEADERS, DocumentRefused, check_not_compressed, read_bounded
from security_common.errors import describe
from security_common.strict_json import parse_json
from security_common.tokens import TrustedIssuer
from security_common.tokens.errors import IssuerMismatch, IssuerUnreachable
from security_common.tokens.issuer_metadata import read_metadata
from security_common.web_urls import parse_web_url

__all__ = ["IssuedToken", "TokenClient"]

DEADLINE_SECONDS = 10.0
MAX_RESPONSE_BYTES = 64 * 1024
MAX_TOKEN_CHARACTERS = 16 * 1024
MAX_LIFETIME_SECONDS = 24 * 3600.0
# If the issuer does not say how long a token is valid, which RFC 6749 section 5.1 only recommends.
UNKNOWN_LIFETIME_SECONDS = 60.0
MAX_JSON_DEPTH = 8

_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERROR_CODE = re.compile(r"[a-z_]{1,64}")

log = structlog.get_logger("gateway_service")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token for an upstream, and how long it is valid from the time of the response."""

    token: str = field(repr=False)
    lifetime_seconds: float


class TokenClient:
    """Gets tokens for one upstream. The metadata of the issuer is read once, and again after a failure."""

    def __init__(self, upstream: str, issuer: TrustedIssuer, client: OAuthClient, http: httpx2.AsyncClient) -> None:
        self._upstream = upstream
        self._issuer = issuer
        self._authentication = ClientAuthentication(client)
        self._http = http
        self._metadata: Mapping[str, Any] | None = None
        self._reading_metadata = asyncio.Lock()

    async def request(self, form: Mapping[str, str]) -> IssuedToken:
        """The token for this request. Raises `CredentialUnavailable`, and `SecretMissing` for the client's secret."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                status, body = await self._post(form)
        except (IssuerUnreachable, IssuerMismatch) as failure:
            raise self._unavailable(describe(failure), hint="try again in a moment") from failure
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, TimeoutError, DocumentRefused) as failure:
            self._metadata = None
            cause = f"the token endpoint of {self._issuer.issuer} does not answer ({type(failure).__name__})"
            raise self._unavailable(cause, hint="try again in a moment") from failure
        members = _read_members(body)
        if status == 200:
            return self._read_token(members)
        code: Any = members.get("error")
        reason = code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else f"HTTP status {status}"
        raise self._unavailable(f"{self._issuer.issuer} refused the token request: {reason}", reason=reason)

    async def _post(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the response."""
        metadata = await self._read_metadata()
        url = self._token_endpoint(metadata)
        fields, headers = self._authentication.complete(form, self._issuer.issuer, metadata)
        async with self._http.stream(
            "POST", url, data=fields, headers={**REQUEST_HEADERS, **headers}, follow_redirects=False
        ) as response:
            check_not_compressed(response.headers.get("content-encoding"))
            return response.status_code, await read_bounded(response.aiter_raw(), max_bytes=MAX_RESPONSE_BYTES)

    async def _read_metadata(self) -> Mapping[str, Any]:
        async with self._reading_metadata:
            if self._metadata is None:
                self._metadata = await read_metadata(self._http, self._issuer)
            return self._metadata

    def _token_endpoint(self, metadata: Mapping[str, Any]) -> str:
        """The URL at which this process reaches it. A secret is sent there, so it is https, or the issuer's own host.

        Raises `IssuerUnreachable`.
        """
        endpoint: Any = metadata.get("token_endpoint")
        if not isinstance(endpoint, str):
            raise IssuerUnreachable(f"the metadata of {self._issuer.issuer} has no token_endpoint")
        url = self._issuer.back_channel_url(endpoint)
        try:
            parsed = parse_web_url(url)
        except ValueError as failure:
            raise IssuerUnreachable(f"the token_endpoint of {self._issuer.issuer} is not a valid URL") from failure
        if parsed.scheme != "https" and parsed.origin != parse_web_url(self._issuer.base_url).origin:
            raise IssuerUnreachable(f"the token_endpoint of {self._issuer.issuer} is on another host without https")
        return url

    def _read_token(self, members: Mapping[str, Any]) -> IssuedToken:
        token, kind = members.get("access_token"), members.get("token_type")
        lifetime: Any = members.get("expires_in", UNKNOWN_LIFETIME_SECONDS)
        is_text = isinstance(token, str) and len(token) <= MAX_TOKEN_CHARACTERS and _TOKEN.fullmatch(token)
        if not is_text or not isinstance(kind, str) or kind.lower() != "bearer":
            raise self._unavailable(f"{self._issuer.issuer} answered without a bearer token")
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
            lifetime = UNKNOWN_LIFETIME_SECONDS
        return IssuedToken(cast("str", token), min(float(lifetime), MAX_LIFETIME_SECONDS))

    def _unavailable(self, cause: str, *, reason: str = "", hint: str = "") -> CredentialUnavailable:
        """The error for the client, with the error code of the issuer. The cause goes to the log."""
        log.warning("credential_unavailable", upstream=self._upstream, cause=cause)
        detail = f": {reason}" if reason else ""
        return CredentialUnavailable(
            f"the gateway got no credential for {self._upstream}{detail}",
            hint=hint or "the operator of the gateway finds the cause in its log",
        )


def _read_members(body: bytes) -> Mapping[str, Any]:
    """The members of a JSON object; none if the body is something else."""
    try:
        document: Any = parse_json(body, max_depth=MAX_JSON_DEPTH)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}
