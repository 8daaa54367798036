"""Messages from a server: strict JSON, the kind of each message, and how many notifications may come."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from gateway_service.upstreams.errors import UpstreamProtocolViolation
from gateway_service.upstreams.transport import Notification
from gateway_service.wire.json_rpc import MAX_DEPTH, MAX_VALUES
from security_common.strict_json import parse_json

__all__ = [
    "MAX_NOTIFICATIONS_PER_SECOND",
    "NotificationRate",
    "is_list_change",
    "is_response",
    "notification_of",
    "parse_message",
    "require_notification",
]

MAX_NOTIFICATIONS_PER_SECOND = 100
MAX_SAVED_NOTIFICATIONS = 10 * MAX_NOTIFICATIONS_PER_SECOND
LARGE_BODY_BYTES = 32 * 1024
"""A larger message is parsed in a thread, so that the event loop can serve other calls."""


class NotificationRate:
    """Limits the notifications of a server, as a token bucket: 100 at the start, and 100 more for each second.

    At most those of ten seconds are saved up: this process may have been too busy to read notifications earlier.
    """

    def __init__(self, upstream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._allowed = float(MAX_NOTIFICATIONS_PER_SECOND)
        self._counted_at = clock()

    def count(self) -> None:
        """Counts one notification. Raises `UpstreamProtocolViolation` for one too many."""
        now = self._clock()
        gained = (now - self._counted_at) * MAX_NOTIFICATIONS_PER_SECOND
        self._allowed = min(self._allowed + gained, MAX_SAVED_NOTIFICATIONS) - 1
        self._counted_at = now
        if self._allowed < 0:
            raise UpstreamProtocolViolation.by(self._upstream, "sent too many notifications")


async def parse_message(upstream: str, raw: bytes) -> dict[str, Any]:
    """One message. Raises `UpstreamProtocolViolation` for anything but an object in strict JSON."""
    parse = partial(parse_json, raw, max_depth=MAX_DEPTH, max_values=MAX_VALUES, keeps_spelling=True)
    try:
        document: Any = parse() if len(raw) <= LARGE_BODY_BYTES else await asyncio.to_thread(parse)
    except (ValueError, RecursionError) as failure:
        raise UpstreamProtocolViolation.by(upstream, "sent a message that is not strict JSON") from failure
    if not isinstance(document, dict):
        raise UpstreamProtocolViolation.by(upstream, "sent a message that is not a JSON object")
    return cast("dict[str, Any]", document)


def is_response(message: dict[str, Any]) -> bool:
    """Whether this is a response with either a result or an error, and not a request or a notification."""
    return "method" not in message and ("result" in message) != ("error" in message)


def require_notification(upstream: str, message: dict[str, Any]) -> None:
    """Raises `UpstreamProtocolViolation` for a request: the gateway has no capability that would allow one."""
    if not isinstance(message.get("method"), str):
        raise UpstreamProtocolViolation.by(upstream, "sent a message that is not JSON-RPC")
    if "id" in message and message["method"] != "ping":
        problem = "asked the client for something, which the gateway does not relay"
        raise UpstreamProtocolViolation.by(upstream, problem)


def is_list_change(message: dict[str, Any]) -> bool:
    """Whether the message reports that the list of tools, prompts or resources has changed."""
    method: Any = message.get("method")
    return isinstance(method, str) and method.startswith("notifications/") and method.endswith("/list_changed")


def notification_of(message: dict[str, Any], message_id: int) -> Notification | None:
    """The notification for the request with this id. None for one that belongs to another request, or to none."""
    method, params = message.get("method"), message.get("params", {})
    if "id" in message or not isinstance(params, dict):
        return None
    members = cast("dict[str, Any]", params)
    if method == "notifications/message":
        return Notification(method, members)
    token: Any = members.get("progressToken")
    if method != "notifications/progress" or isinstance(token, bool) or token != message_id:
        return None
    return Notification(method, {name: value for name, value in members.items() if name != "progressToken"})
