"""The caller of the current request, for tools. The guard has verified the token before any tool runs."""

from mcp_resource_service.records import Owner
from security_common.tokens.access_token import Caller, current_caller

__all__ = ["record_owner", "verified_caller"]


def verified_caller() -> Caller:
    """Returns the caller of this request with the verified token. Raises RuntimeError without a guard."""
    caller = current_caller.get()
    if caller is None:
        raise RuntimeError("a tool ran without the guard in front of it")
    return caller


def record_owner() -> Owner:
    """Returns the owner of the caller's records: issuer and subject, never the client that many users share."""
    token = verified_caller().token
    return Owner(token.issuer, token.subject)
