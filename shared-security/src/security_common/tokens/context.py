"""Who is calling, for code far below the guard: the guard sets it, `secure_tool` and the tools read it."""

from contextvars import ContextVar
from dataclasses import dataclass

from security_common.tokens.claims import AccessToken

__all__ = ["Caller", "current_caller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One authenticated request: its verified token and where it came from.

    `source_address` is the client's IP address as seen behind declared proxies; `trace_id` is 32 hex digits.
    """

    token: AccessToken
    source_address: str
    trace_id: str


current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)
