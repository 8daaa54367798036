"""Scopes with a meaning of their own, and the syntax of scope lists (RFC 6749 section 3.3)."""

import re
from enum import StrEnum

from auth_service.errors import InvalidScope

__all__ = ["IDENTITY_SCOPES", "Scope", "format_scope", "parse_scope"]

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_MAX_SCOPES = 64


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
