"""What a server sends to the client before the result: progress, log messages, requests to the client.

Requests to the client are elicitation, sampling and roots.

    tool ─▶ ServerSession ─▶ ProtectedChannel ─▶ channel of the request, or of the connection ─▶ client
                              │ parameters in JSON form, protected
                              └ responses of the client, protected like arguments

The channel is the last place through which every message passes, in the form in which it is sent. So it does not matter
which method of the session sends a message, or which serializers the message has.
"""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from security_common.tool_policy import (
    FrameworkRequest,
    SecuredCall,
    current_call,
    policy_dependencies,
    walk_without_call,
)
from security_common.tool_policy.mcp_messages import protect_parameters

__all__ = ["ProtectedChannel", "protect_session"]

Parameters = Mapping[str, Any] | None


class ProtectedChannel:
    """A channel to the client whose messages follow the policy of the call that sends them.

    It has the interface of the SDK's `DispatchContext`. What it does not define is that of the channel itself.
    """

    def __init__(self, channel: Any, framework_request: FrameworkRequest | None) -> None:
        self._channel = channel
        # A thread or task that the tool started may not have the context variable of the call.
        self._framework_request = framework_request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def notify(self, method: str, params: Parameters, opts: Any = None) -> None:
        """Sends a notification with protected parameters."""
        await self._channel.notify(method, await self._protect(params), opts)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Reports progress with protected numbers and text."""
        protected = await self._protect({"progress": progress, "total": total, "message": message})
        await self._channel.progress(**(protected or {}))

    async def send_raw_request(self, method: str, params: Parameters, opts: Any = None) -> dict[str, Any]:
        """Sends a request to the client and returns the response, both protected."""
        call = self._sender()
        response = await self._channel.send_raw_request(method, await self._protect(params), opts)
        return response if call is None else await call.run(call.protect_client_response, response)

    def _sender(self) -> SecuredCall | None:
        return current_call.get() or (self._framework_request.call if self._framework_request is not None else None)

    async def _protect(self, params: Parameters) -> dict[str, Any] | None:
        if params is None:
            return None
        protected: dict[str, Any] = to_jsonable_python(params)
        component_calls = self._framework_request.component_calls if self._framework_request is not None else []
        # A message of a tool that another one called follows the policies of both.
        calls = {id(call): call for call in (self._sender(), *component_calls[-1:]) if call is not None}
        for call in calls.values():
            protected = await call.run(call.protect_message, protected)
        if not calls:
            return protect_parameters(walk_without_call(policy_dependencies()), protected)
        return protected


def protect_session(session: Any, framework_request: FrameworkRequest | None) -> None:
    """Puts a ProtectedChannel between the session of one request and each of its channels.

    `session` is the SDK's ServerSession. Its channels are private attributes; a test checks that it has no others.
    """
    session._request_outbound = ProtectedChannel(session._request_outbound, framework_request)  # noqa: SLF001
    connection = session._connection  # noqa: SLF001
    if connection.has_standalone_channel:
        # The connection is shared by the requests of a client, so this request gets a copy with a channel of its own.
        protected = copy.copy(connection)
        protected.outbound = ProtectedChannel(connection.outbound, framework_request)
        session._connection = protected  # noqa: SLF001
