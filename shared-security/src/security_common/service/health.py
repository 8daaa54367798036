"""`/livez` and `/readyz`, with the same JSON in every service.

GET /livez   200 {"status": "alive"}
GET /readyz  200 {"status": "ready",     "checks": {"journal": {"ok": true, "note": ""}, ...}}
503 {"status": "not ready", "checks": {...}}   with Retry-After
"""

from typing import cast

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from security_common.service.read_routes import add_read_route
from security_common.service.readiness import Readiness, ReadinessCheck, ReadinessResult

__all__ = ["Readiness", "ReadinessCheck", "ReadinessResult", "health_router"]

_RETRY_SECONDS = "1"


def health_router(readiness: Readiness) -> APIRouter:
    """`/livez` is 200 while the process answers; `/readyz` is 200 when every required check passes, otherwise 503."""
    router = APIRouter(tags=["health"])

    async def show_liveness() -> Response:
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})

    async def show_readiness() -> Response:
        checks = await readiness.checks()
        is_ready = all(check.ok for check in checks.values() if check.required)
        members = {
            "status": "ready" if is_ready else "not ready",
            "checks": {name: {"ok": check.ok, "note": check.note} for name, check in checks.items()},
        }
        headers = {"Cache-Control": "no-store"}
        if not is_ready:
            headers["Retry-After"] = _RETRY_SECONDS
        return JSONResponse(members, status_code=200 if is_ready else 503, headers=headers)

    unavailable = cast("dict[int | str, dict[str, object]]", {503: {"description": "A required check fails."}})
    add_read_route(router, "/livez", show_liveness, summary="The process answers", operation_id="livez")
    add_read_route(
        router,
        "/readyz",
        show_readiness,
        summary="The service can do its work",
        operation_id="readyz",
        responses=unavailable,
    )
    return router
