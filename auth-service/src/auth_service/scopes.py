"""The scopes and roles that this server defines, and the syntax of scope lists (RFC 6749 section 3.3)."""

import re
from enum import StrEnum

from auth_service.errors import InvalidScope

__all__ = ["IDENTITY_SCOPES", "SCOPE_TOKEN", "Role", "Scope", "format_scope", "parse_scope"]

# One scope (RFC 6749 section 3.3).
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_MAX_SCOPES = 64


class Scope(StrEnum):
    """Scopes that the server defines. Resources declare further ones."""

    OPENID = "openid"
    PROFILE = "profile"
    EMAIL = "email"
    OFFLINE_ACCESS = "offline_access"
    MCP_ACCESS = "mcp.access"
    MCP_DECRYPT = "mcp.decrypt"
    MCP_AUDIT = "mcp.audit"


class Role(StrEnum):
    """What a user may do in addition to what every user may do."""

    AUDITOR = "auditor"  # may grant mcp.audit: the audit trail of all users
    OPERATOR = "operator"  # may sign in with a password if sign_in.local in auth.yaml is operators


# Scopes about a user, not about a resource: a client that acts on its own behalf cannot have them.
IDENTITY_SCOPES = frozenset({Scope.OPENID, Scope.PROFILE, Scope.EMAIL, Scope.OFFLINE_ACCESS})


def parse_scope(text: str | None) -> tuple[str, ...] | None:
    """The scopes of the parameter `scope`, each once, in order (RFC 6749 section 3.3); None if it is omitted.

    Extra spaces are ignored, and a list of spaces only counts as omitted. Raises `InvalidScope` for characters outside
    the grammar, or more than 64 scopes.
    """
    if text is None:
        return None
    scopes = tuple(dict.fromkeys(part for part in text.split(" ") if part))
    if len(scopes) > _MAX_SCOPES:
        raise InvalidScope(f"scope names more than {_MAX_SCOPES} values")
    if not all(SCOPE_TOKEN.fullmatch(scope) for scope in scopes):
        raise InvalidScope("scope contains a character that RFC 6749 section 3.3 does not allow")
    return scopes or None


def format_scope(scopes: tuple[str, ...] | frozenset[str]) -> str:
    """The `scope` member of a response or a token. A set is sorted, so that equal sets have equal text."""
    return " ".join(scopes if isinstance(scopes, tuple) else sorted(scopes))
