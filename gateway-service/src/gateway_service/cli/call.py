"""`gateway-service call`: one tool call through the running gateway, as a client of protocol version 2026-07-28."""

import json
import sys
from pathlib import Path
from typing import Any, ClassVar, cast

import httpx2

from gateway_service.settings import GatewaySettings
from gateway_service.wire.request_headers import encode_value
from gateway_service.wire.versions import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    PROTOCOL_VERSION,
    STATELESS_VERSION,
    implementation,
)
from security_common.errors import SecurityError
from security_common.secret_files import read_secret_file

__all__ = ["CallFailed", "call_tool"]

HTTP_SECONDS = 330.0
"""More than the longest call that the gateway allows by default."""


class CallFailed(SecurityError):
    """The gateway could not be reached, or it refused the call."""

    error: ClassVar[str] = "call_failed"


async def call_tool(
    settings: GatewaySettings, tool: str, arguments: str, *, token_file: Path | None, upstream: str
) -> None:
    """Prints the result. Raises `CallFailed`, and SystemExit with status 1 if the result reports an error."""
    try:
        parsed: Any = json.loads(arguments)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise CallFailed("the arguments are not a JSON object", hint="""for example '{"id": "c_1"}'""")
    token = read_secret_file(token_file) if token_file else sys.stdin.read().strip()
    url = settings.resource_of(upstream)
    metadata: dict[str, Any] = {
        PROTOCOL_VERSION: STATELESS_VERSION,
        CLIENT_INFO: implementation(),
        CLIENT_CAPABILITIES: {},
    }
    params: dict[str, Any] = {"name": tool, "arguments": parsed, "_meta": metadata}
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": STATELESS_VERSION,
        "mcp-method": "tools/call",
        "mcp-name": encode_value(tool),
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    try:
        async with httpx2.AsyncClient(timeout=HTTP_SECONDS, trust_env=False) as http:
            response = await http.post(url, json=message, headers=headers)
            answer: Any = response.json()
    except (httpx2.HTTPError, ValueError) as failure:
        hint = "start it with `gateway-service serve`; `gateway-service doctor` finds problems"
        raise CallFailed(f"{url} does not answer as a gateway: {type(failure).__name__}", hint=hint) from failure
    if "result" not in answer:
        raise _refusal(response.status_code, answer)
    print(json.dumps(answer["result"], ensure_ascii=False, indent=2))
    if answer["result"].get("isError") is True:
        raise SystemExit(1)


def _refusal(status: int, answer: Any) -> CallFailed:
    """The error for an answer without a result: a JSON-RPC error, or a refusal of the guard."""
    members = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    error: Any = members.get("error")
    if isinstance(error, dict):
        message: Any = cast("dict[str, Any]", error).get("message")
        return CallFailed(f"HTTP status {status}: {message}", hint="`gateway-service tools` lists the tools")
    description = members.get("error_description") or error
    return CallFailed(f"HTTP status {status}: {description}", hint=str(members.get("hint") or "see the gateway's log"))
