"""Who is calling, for code far below the guard: the guard sets it, `secure_tool` and the tools read it."""

from contextvars import ContextVar
from typing import NamedTuple

from security_common.tokens.claims import AccessToken

__all__ = ["Caller", "current_caller"]


class Caller(NamedTuple):
    """One authenticated request: its verified token and where it came from.

    Not a frozen dataclass, because every request makes one and a tuple is made in a third of the time.

    `source_address` is the client's IP address as seen behind declared proxies; `trace_id` is 32 hex digits.
    """

    token: AccessToken
    source_address: str
    trace_id: str


current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)
