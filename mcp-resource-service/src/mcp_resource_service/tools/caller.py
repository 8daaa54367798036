"""Whose call this is, for tools: the guard has verified the token before any of them runs."""

from mcp_resource_service.records import Owner
from security_common.tokens.context import Caller, current_caller

__all__ = ["calling", "owner"]


def calling() -> Caller:
    """The verified caller of this request."""
    caller = current_caller.get()
    if caller is None:
        raise RuntimeError("a tool ran without the guard before it")
    return caller


def owner() -> Owner:
    """Whom the caller's records belong to: issuer and subject, never the client that many people share."""
    token = calling().token
    return Owner(token.issuer, token.subject)
