"""The cookie that binds one authorization request to the browser that began it.

Each request has a cookie of its own, so that requests of several tabs, begun at the same moment, do not replace each
other's. Whoever is sent a link to somebody else's request does not have its cookie, and so cannot be signed in for it
(protection against login CSRF).
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from auth_service.authorize.interactions import LIFETIME_SECONDS
from auth_service.http.messages import HttpRequest
from auth_service.protocol import RandomBytes
from auth_service.web.cookies import Cookies, Header

__all__ = ["MAX_REQUESTS", "RequestCookies", "hash_binding"]

# Requests of one browser that can wait for their person at the same time.
MAX_REQUESTS = 8

_PREFIX = "request_"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCookies:
    """Gives, reads and removes them. A cookie lives as long as its request."""

    cookies: Cookies
    random_bytes: RandomBytes

    def new_secret(self) -> str:
        return urlsafe_b64encode(self.random_bytes(32)).rstrip(b"=").decode("ascii")

    def give(self, interaction_id: str, secret: str, http: HttpRequest) -> tuple[Header, ...]:
        """The headers that set the cookie of a new request and remove those of the oldest, beyond `MAX_REQUESTS`."""
        earlier = self.cookies.names(http, _PREFIX)
        surplus = earlier[: max(0, len(earlier) - MAX_REQUESTS + 1)]
        given = self.cookies.give(_PREFIX + interaction_id, secret, max_age_seconds=LIFETIME_SECONDS)
        return (given, *map(self.cookies.remove, surplus))

    def read(self, interaction_id: str, http: HttpRequest) -> str | None:
        """The secret, or None when this browser has no cookie for the request."""
        secret = self.cookies.read(http, _PREFIX + interaction_id) or ""
        return secret if _SECRET.fullmatch(secret) else None

    def remove_later(self, interaction_id: str, secret: str, seconds: int) -> Header:
        """The header that lets the cookie expire: a second click of the same moment must still have it."""
        return self.cookies.give(_PREFIX + interaction_id, secret, max_age_seconds=seconds)


def hash_binding(secret: str) -> str:
    """What is stored of the cookie. The value has 256 random bits, so a plain hash protects it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_bound(secret: str | None, binding: str) -> bool:
    return secret is not None and hmac.compare_digest(hash_binding(secret), binding)
