"""The tool that reports the state of this service."""

from collections.abc import Callable
from typing import Any

from fastmcp import FastMCP
from typing_extensions import TypedDict

from mcp_resource_service.scopes import ACCESS_SCOPE
from mcp_resource_service.tools.caller import verified_caller
from security_common.service.health import Readiness
from security_common.tool_policy import secure_tool

__all__ = ["register"]


class ServerStatus(TypedDict):
    """The service, its health checks, and the caller's client and scopes."""

    service: str
    version: str
    status: str
    uptime_seconds: int
    endpoints: dict[str, str]
    checks: dict[str, str]
    you: dict[str, Any]


def register(
    mcp: FastMCP, readiness: Readiness, *, version: str, endpoints: dict[str, str], uptime_seconds: Callable[[], float]
) -> None:
    """Adds `get_server_status`."""

    @mcp.tool(
        title="Server status · 서버 상태",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE])
    async def get_server_status() -> ServerStatus:
        """Return the state of this service, its endpoint URLs, and the client and scopes of your token.

        Call it first. 서비스 상태, 엔드포인트 주소, 현재 호출자의 클라이언트와 권한(scope)을 보여 줍니다.
        """
        checks = await readiness.checks()
        token = verified_caller().token
        return {
            "service": "mcp-resource-service",
            "version": version,
            "status": "ready" if all(check.ok for check in checks.values() if check.required) else "not ready",
            "uptime_seconds": int(uptime_seconds()),
            "endpoints": endpoints,
            "checks": {name: check.note or ("ok" if check.ok else "failed") for name, check in checks.items()},
            "you": {"client_id": token.client_id, "scopes": sorted(token.scopes)},
        }
