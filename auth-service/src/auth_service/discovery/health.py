"""`/livez` and `/readyz`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.responses import Response

from auth_service.http.application import new_router
from auth_service.http.openapi import json_result
from auth_service.http.responses import json_response

__all__ = ["Check", "can_write", "make_health_router"]

_REDIS_TIMEOUT_SECONDS = 1.0

# Whether one dependency of the service is available.
Check = Callable[[], bool | Awaitable[bool]]


async def can_write(redis: Redis) -> bool:
    """Whether Redis accepts a write. One that is full or a read-only replica does not."""
    try:
        async with asyncio.timeout(_REDIS_TIMEOUT_SECONDS):
            return bool(await redis.set("auth:ready", "1", ex=60))
    except (RedisError, OSError, TimeoutError):
        return False


def make_health_router(checks: Mapping[str, Check], *, notes: Callable[[], Awaitable[Mapping[str, str]]]) -> APIRouter:
    """`/livez` answers as long as the process does. `/readyz` runs the checks; 503 if one fails.

    `notes` are problems in plain text, including those that do not make the service unready.
    """
    router = new_router("health")
    answers = {
        **json_result("Yes", required=("status",)),
        **json_result("No; the body says which check failed", status=503),
    }

    @router.get("/livez", operation_id="livez", summary="Whether the process runs", responses=answers)
    async def live() -> Response:
        return json_response({"status": "alive"})

    @router.get("/readyz", operation_id="readyz", summary="Whether the service can work", responses=answers)
    async def ready() -> Response:
        results = {name: await _result(check) for name, check in checks.items()}
        is_ready = all(results.values())
        members = {"status": "ready" if is_ready else "not ready", "checks": results, "notes": dict(await notes())}
        return json_response(members, status=200 if is_ready else 503)

    return router


async def _result(check: Check) -> bool:
    result = check()
    return result if isinstance(result, bool) else await result
