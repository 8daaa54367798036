"""`subscriptions/listen` (MCP 2026-07-28): notifies clients when a list of their address changes.

The response is an event stream that begins with the accepted subscriptions and then has a notification for each change.
The gateway keeps nothing for a client beyond its open connection. A stream ends when its token expires, or after five
minutes, so that a revoked permission has an end; its client then subscribes again and asks for the lists. Clients of
older versions would need a session for these notifications.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from gateway_service.catalogue import Address, AddressComponents
from gateway_service.relay.client_request import ClientRequest
from gateway_service.wire.json_rpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, RpcError
from gateway_service.wire.versions import SUBSCRIPTION_ID
from security_common.tool_policy import owner_of

__all__ = ["ListSubscriptions"]

MAX_STREAMS_OF_CALLER = 10
MAX_STREAM_SECONDS = 300.0
POLL_SECONDS = 0.5
"""Lists change rarely, and comparing two numbers costs nothing."""
KEEP_ALIVE_SECONDS = 15.0

_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


class ListSubscriptions:
    """The open streams of one address."""

    def __init__(self, address: Address, components: AddressComponents, *, clock: Callable[[], float]) -> None:
        """`clock` returns the seconds since the epoch."""
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._is_replaced = False
        self._revisions: dict[str, Callable[[], int]] = {
            "tools": lambda: address.revision,
            "prompts": lambda: components.prompts_revision,
            "resources": lambda: components.resources_revision,
        }

    def replace(self) -> None:
        """Ends all streams, each with its notifications: a new configuration may have changed every list."""
        self._is_replaced = True

    async def listen(self, client: ClientRequest) -> dict[str, Any]:
        """Sends notifications until the stream ends, and returns its result. Raises `RpcError`."""
        stream = client.stream
        if stream is None:
            raise RpcError(INVALID_REQUEST, "a subscription needs a client that accepts text/event-stream")
        requested: Any = client.message.params.get("notifications")
        if not isinstance(requested, dict):
            raise RpcError(INVALID_PARAMS, "`notifications` must be an object")
        wanted = cast("dict[str, Any]", requested)
        kinds = [kind for kind in self._revisions if wanted.get(f"{kind}ListChanged") is True]
        token = client.caller.token
        owner = owner_of(token.issuer, token.subject)
        if self._open[owner] >= MAX_STREAMS_OF_CALLER:
            raise RpcError(
                INTERNAL_ERROR, f"a caller can have {MAX_STREAMS_OF_CALLER} subscriptions; close one of them"
            )
        metadata = {"_meta": {SUBSCRIPTION_ID: client.message.id}}
        known = {kind: self._revisions[kind]() for kind in kinds}
        ends_at = time.monotonic() + min(MAX_STREAM_SECONDS, token.expires_at_seconds - self._clock())
        self._open[owner] += 1
        try:
            honoured = {f"{kind}ListChanged": True for kind in kinds}
            await stream.notify(_ACKNOWLEDGED, {"notifications": honoured, **metadata})
            sent_at = time.monotonic()
            is_over = False
            while not is_over:
                await asyncio.sleep(POLL_SECONDS)
                is_replaced = self._is_replaced  # which can change while a notification is sent
                is_over = is_replaced or time.monotonic() >= ends_at
                for kind in kinds:
                    revision = self._revisions[kind]()
                    if revision != known[kind] or is_replaced:
                        known[kind] = revision
                        await stream.notify(f"notifications/{kind}/list_changed", metadata)
                        sent_at = time.monotonic()
                if time.monotonic() - sent_at > KEEP_ALIVE_SECONDS:
                    await stream.keep_alive()
                    sent_at = time.monotonic()
            return metadata
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]
