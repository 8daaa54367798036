"""Progress and log messages of an upstream while a call runs: protected like an error message, and passed on.

A client gets progress only if it has sent a progress token, and the gateway sends another one to the upstream. A client
of 2026-07-28 gets log messages from the level that it names in `_meta`; older clients get them from `info`, because the
gateway keeps no session in which a level could be set.
"""

from collections.abc import Mapping
from typing import Any

from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.client_stream import ClientStream
from gateway_service.upstreams import Notification
from gateway_service.wire.versions import LOG_LEVEL
from security_common.errors import SecurityError
from security_common.strict_json import WrittenNumber
from security_common.tool_policy import SecuredCall

__all__ = ["LOG_LEVELS", "RelayedNotifications", "requested_log_level"]

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""The levels of RFC 5424 that MCP uses, from the least to the most severe."""

LEVEL_WITHOUT_SESSION = "info"

PROGRESS, LOG_MESSAGE = "notifications/progress", "notifications/message"


def requested_log_level(client: ClientRequest) -> str | None:
    """The lowest level of log messages that the client gets, or None if it gets none."""
    if not client.is_stateless:
        return LEVEL_WITHOUT_SESSION
    level: Any = client.message.metadata.get(LOG_LEVEL)
    return level if level in LOG_LEVELS else None


class RelayedNotifications:
    """Passes on the notifications of one call."""

    def __init__(self, call: SecuredCall, client: ClientRequest, stream: ClientStream) -> None:
        self._call = call
        self._stream = stream
        self._token = client.progress_token
        level = requested_log_level(client)
        self._levels = frozenset(LOG_LEVELS[LOG_LEVELS.index(level) :]) if level else frozenset[str]()
        self._last_progress: float | None = None

    @classmethod
    def of(cls, call: SecuredCall, client: ClientRequest) -> "RelayedNotifications | None":
        """None if the client gets no notifications in this call."""
        wants_any = client.progress_token is not None or requested_log_level(client) is not None
        return cls(call, client, client.stream) if client.stream is not None and wants_any else None

    async def __call__(self, notification: Notification) -> None:
        """Passes it on, unless the client has not asked for it or it is malformed."""
        if notification.method == PROGRESS:
            data = self._progress(notification.params)
        elif notification.method == LOG_MESSAGE:
            data = self._log_message(notification.params)
        else:
            return
        if data is None:
            return
        try:
            protected = await self._call.run(self._call.protect_message, data)
        except SecurityError:
            return  # it cannot be searched, so it is not sent; the call goes on
        if notification.method == PROGRESS:
            protected["progressToken"] = self._token
        await self._stream.notify(notification.method, protected)

    def _progress(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The data of a progress notification, whose number has to increase (MCP, progress)."""
        progress, total, message = (params.get(name) for name in ("progress", "total", "message"))
        number = _number_of(progress)
        if self._token is None or number is None or (total is not None and _number_of(total) is None):
            return None
        if self._last_progress is not None and number <= self._last_progress:
            return None
        self._last_progress = number
        data = {"progress": progress, "total": total, "message": message if isinstance(message, str) else None}
        return {name: value for name, value in data.items() if value is not None}

    def _log_message(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        level, logger = params.get("level"), params.get("logger")
        if not isinstance(level, str) or level not in self._levels or "data" not in params:
            return None
        data = {"level": level, "data": params["data"]}
        return data | {"logger": logger} if isinstance(logger, str) else data


def _number_of(value: Any) -> float | None:
    if isinstance(value, WrittenNumber):
        return value.number
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
