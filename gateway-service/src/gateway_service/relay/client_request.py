"""One request of a client, with everything that its answer depends on."""

from dataclasses import dataclass
from typing import Any

from gateway_service.relay.client_stream import ClientStream
from gateway_service.wire.json_rpc import Request
from security_common.edge import RequestHeaders
from security_common.tokens import Caller

__all__ = ["ClientRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """`is_stateless` is whether it follows 2026-07-28. `stream` is None if the client accepts no event stream."""

    message: Request
    headers: RequestHeaders
    caller: Caller
    is_stateless: bool
    stream: ClientStream | None = None

    @property
    def progress_token(self) -> str | int | None:
        """The token with which the client has asked for progress."""
        token: Any = self.message.metadata.get("progressToken")
        return token if isinstance(token, str | int) and not isinstance(token, bool) else None
