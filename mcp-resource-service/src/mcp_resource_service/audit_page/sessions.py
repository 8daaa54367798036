"""What the sessions of the audit page contain, and their cookies.

sign-in started ──▶ PendingSignIn, cookie mcp_audit_sign_in_<state>   10 minutes
signed in       ──▶ AuditorSession, cookie mcp_audit                  until the access token expires or is revoked
signed out      ──▶ EndedSession, the same cookie                     30 seconds
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from redis.asyncio import Redis
from starlette.requests import Request

from security_common.cookies import parse_cookies
from security_common.service import ServiceCookies, SessionStore
from security_common.tokens import AccessToken

__all__ = [
    "AuditorSession",
    "EndedSession",
    "PendingSignIn",
    "Sessions",
    "SignedInUser",
    "open_sessions",
    "page_cookies",
    "read_cookies",
    "sign_in_cookie",
    "surplus_sign_ins",
]

# Concurrent sign-ins of one browser.
MAX_SIGN_INS = 8
SIGN_IN_COOKIE = "_sign_in_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInUser:
    """A user who has signed in at the issuer; an auditor if the token has the scope mcp.audit.

    The access token is valid until `expires_at_seconds`; `token` has what was read from it, so that a revocation can be
    noticed. It is None in a session from before the upgrade. The ID token is sent to the issuer at sign-out.
    """

    issuer: str
    subject: str
    expires_at_seconds: float
    id_token: str = field(default="", repr=False)
    token: AccessToken | None = None


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in at the issuer: Authlib's state, and the language and query string of the page to return to."""

    state: dict[str, Any]
    language: str
    query: str


@dataclass(frozen=True, slots=True)
class AuditorSession:
    """The session of a signed-in auditor."""

    auditor: SignedInUser


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that was signed out. The URL is the issuer's logout, empty if the issuer has none."""

    signed_out_to: str


Sessions: TypeAlias = SessionStore[PendingSignIn | AuditorSession | EndedSession]


def open_sessions(redis: Redis, digest_key: bytes) -> Sessions:
    """Returns the sessions in Redis."""
    data_type: Any = PendingSignIn | AuditorSession | EndedSession
    return SessionStore(redis, data_type, key_prefix="mcp:audit_page:", digest_key=digest_key)


def page_cookies(*, secure: bool) -> ServiceCookies:
    """Returns the cookies of the page. The session cookie has the prefix alone as its name."""
    return ServiceCookies("mcp_audit", secure=secure)


def sign_in_cookie(state: str) -> str:
    """Returns the cookie name of one sign-in. Each has its own, so that several tabs can sign in at once."""
    return SIGN_IN_COOKIE + hashlib.sha256(state.encode()).hexdigest()[:16]


def surplus_sign_ins(cookies: ServiceCookies, received: Mapping[str, str]) -> list[str]:
    """Returns the names of the oldest sign-in cookies, so that a new one makes MAX_SIGN_INS at most."""
    names = cookies.names(received, SIGN_IN_COOKIE)
    return names[: max(0, len(names) - MAX_SIGN_INS + 1)]


def read_cookies(request: Request) -> Mapping[str, str]:
    """Returns the cookies of a request. `Request.cookies` would also accept names that browsers do not protect."""
    return parse_cookies(request.headers.getlist("cookie"))
