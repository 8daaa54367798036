"""The words every room shares: names of the protocol, scope syntax, time and randomness. A leaf: it imports no room."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from auth_service.errors import InvalidScope

__all__ = [
    "DEFAULT_SIGNING_ALGORITHM",
    "IDENTITY_SCOPES",
    "SECRET_METHODS",
    "AuthMethod",
    "Clock",
    "GrantType",
    "RandomBytes",
    "Scope",
    "format_scope",
    "parse_scope",
]

# Seconds since the epoch, as `time.time` gives them.
Clock: TypeAlias = Callable[[], float]

# `secrets.token_bytes` in production: a count of bytes in, that many random bytes out.
RandomBytes: TypeAlias = Callable[[int], bytes]

DEFAULT_SIGNING_ALGORITHM = "RS256"

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_MAX_SCOPES = 64


class GrantType(StrEnum):
    """RFC 6749 sections 4.1.3, 4.4.2 and 6."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    CLIENT_CREDENTIALS = "client_credentials"


class AuthMethod(StrEnum):
    """How a client proves who it is (RFC 7591 section 2, OpenID Connect Core section 9)."""

    NONE = "none"
    CLIENT_SECRET_BASIC = "client_secret_basic"
    CLIENT_SECRET_POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"


SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})


class Scope(StrEnum):
    """Scopes the server itself gives a meaning; resources declare further ones."""

    OPENID = "openid"
    PROFILE = "profile"
    EMAIL = "email"
    OFFLINE_ACCESS = "offline_access"
    MCP_ACCESS = "mcp.access"
    MCP_DECRYPT = "mcp.decrypt"
    MCP_AUDIT = "mcp.audit"


# About the person who signed in, not about a resource: no client has them for itself.
IDENTITY_SCOPES = frozenset({Scope.OPENID, Scope.PROFILE, Scope.EMAIL, Scope.OFFLINE_ACCESS})


def parse_scope(text: str) -> tuple[str, ...]:
    """The scopes of a space-separated list, each once, in order (RFC 6749 section 3.3).

    Extra spaces are forgiven, other characters outside the grammar are not: raises `InvalidScope`.
    """
    scopes = tuple(dict.fromkeys(part for part in text.split(" ") if part))
    if len(scopes) > _MAX_SCOPES:
        raise InvalidScope(f"scope names more than {_MAX_SCOPES} values")
    if not all(_SCOPE_TOKEN.fullmatch(scope) for scope in scopes):
        raise InvalidScope("scope holds a character that RFC 6749 section 3.3 does not allow")
    return scopes


def format_scope(scopes: tuple[str, ...] | frozenset[str]) -> str:
    """The `scope` member of an answer or a token; a set is sorted, so that equal grants have equal text."""
    return " ".join(scopes if isinstance(scopes, tuple) else sorted(scopes))
