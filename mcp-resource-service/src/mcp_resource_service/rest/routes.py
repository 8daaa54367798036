"""The routes: two protected ones, two open ones."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mcp_resource_service.rest.health import Health

__all__ = ["health_router", "protected_routes"]

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


def health_router(health: Health) -> APIRouter:
    """`/livez` and `/readyz`."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", operation_id="livez")
    async def livez() -> dict[str, str]:
        """200 while the process runs."""
        return {"status": "alive"}

    @router.get("/readyz", operation_id="readyz", responses={503: {"description": "A required check failed."}})
    async def readyz() -> JSONResponse:
        """200 when the issuer's keys are known and the audit journal can be written, else 503."""
        checks = await health.checks()
        ready = all(check.ok for check in checks.values() if check.required)
        body = {
            "status": "ready" if ready else "not ready",
            "checks": {name: {"ok": check.ok, "note": check.note} for name, check in checks.items()},
        }
        headers = {"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "1"})
        return JSONResponse(body, status_code=200 if ready else 503, headers=headers)

    return router
