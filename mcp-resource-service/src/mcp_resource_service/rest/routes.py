"""The routes: two protected ones, three open ones."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mcp_resource_service.rest.health import Health
from security_common.browser_requests import ICON, ICON_MEDIA_TYPE, ICON_PATH

__all__ = ["health_routes", "icon_route", "protected_routes"]

GREETING = "MCP OAuth2 데모에서 안녕하세요!"


def protected_routes(information: dict[str, Any]) -> list[Route]:
    """`/` and `/hello`. Their answers are the same for everybody, so they are made once."""
    root = JSONResponse(information)
    greeting = PlainTextResponse(GREETING)

    async def show_server(_: Request) -> Response:
        return root

    async def greet(_: Request) -> Response:
        return greeting

    return [Route("/", show_server), Route("/hello", greet)]


def health_routes(health: Health) -> list[Route]:
    """`/livez`, 200 while the process runs; `/readyz`, 200 when every required check holds, else 503."""

    async def show_life(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def show_readiness(_: Request) -> Response:
        checks = await health.checks()
        ready = all(check.ok for check in checks.values() if check.required)
        body = {
            "status": "ready" if ready else "not ready",
            "checks": {name: {"ok": check.ok, "note": check.note} for name, check in checks.items()},
        }
        headers = {"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "1"})
        return JSONResponse(body, status_code=200 if ready else 503, headers=headers)

    return [Route("/livez", show_life), Route("/readyz", show_readiness)]


def icon_route() -> Route:
    """The icon, which browsers ask for by themselves."""
    icon = Response(ICON, media_type=ICON_MEDIA_TYPE, headers={"Cache-Control": "public, max-age=86400"})

    async def show_icon(_: Request) -> Response:
        return icon

    return Route(ICON_PATH, show_icon)
