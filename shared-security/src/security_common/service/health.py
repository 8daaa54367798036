"""`/livez` and `/readyz`, with the same JSON in every service.

GET /livez   200 {"status": "alive"}
GET /readyz  200 {"status": "ready",     "checks": {"journal": {"ok": true, "note": ""}, ...}}
503 {"status": "not ready", "checks": {...}}   with Retry-After
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from security_common.service.read_routes import add_read_route

__all__ = ["Readiness", "ReadinessCheck", "ReadinessResult", "health_router"]

CHECK_SECONDS = 1.5
"""Less than the three seconds of container health checks. Kubernetes probes wait one second by default: set
timeoutSeconds: 2.
"""
_RETRY_SECONDS = "1"


@dataclass(frozen=True, slots=True)
class ReadinessResult:
    """The result of one check. A `required` one decides on readiness; `note` explains what to do."""

    ok: bool
    required: bool = True
    note: str = ""


ReadinessCheck: TypeAlias = Callable[[], ReadinessResult | Awaitable[ReadinessResult]]


class Readiness:
    """Runs the checks of a service by name, all at the same time. The check `process` fails while the service stops."""

    def __init__(
        self,
        checkers: Mapping[str, ReadinessCheck],
        *,
        further: Callable[[], Mapping[str, ReadinessCheck]] | None = None,
    ) -> None:
        """`further` returns the checks of parts that change while the service runs."""
        self._checkers = dict(checkers)
        self._further = further
        self._is_draining = False

    def start_draining(self) -> None:
        """Makes readiness fail while requests are still answered, so that load balancers stop sending them."""
        self._is_draining = True

    async def checks(self) -> dict[str, ReadinessResult]:
        """Every check by name. One without a result in time counts as failed, also for readiness."""
        checkers = {**self._checkers, **(self._further() if self._further is not None else {})}
        results = await asyncio.gather(*(_run(checker) for checker in checkers.values()))
        process = ReadinessResult(not self._is_draining, note="the service is stopping" if self._is_draining else "")
        return {"process": process, **dict(zip(checkers, results, strict=True))}


async def _run(checker: ReadinessCheck) -> ReadinessResult:
    result = checker()
    if isinstance(result, ReadinessResult):
        return result
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await result
    except TimeoutError:
        return ReadinessResult(ok=False, note=f"no result after {CHECK_SECONDS:g} seconds")


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
