"""`/`, `/livez` and `/readyz`: what people and machines ask first."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth_service.http.answers import json_answer
from auth_service.http.messages import READ, Answer, Endpoint, HttpRequest

__all__ = ["Check", "can_write", "health_endpoints", "root_endpoint"]

_ANSWER_SECONDS = 1.0

# Whether one thing the service needs is there.
Check = Callable[[], bool | Awaitable[bool]]


async def can_write(redis: Redis) -> bool:
    """Whether Redis takes a write: a full one, or a read-only replica, is of no use."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return bool(await redis.set("auth:ready", "1", ex=60))
    except (RedisError, OSError, TimeoutError):
        return False


def root_endpoint(*, issuer: str, resource: str, documentation_url: str) -> Endpoint:
    """401, as the original demo had it: nothing is to be had here, but the body says where to go."""
    members = {
        "error": "unauthorized",
        "error_description": "This is an authorization server. Get a token at token_endpoint, use it at resource.",
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth2/token",
        "resource": resource,
        "metadata": f"{issuer}/.well-known/oauth-authorization-server",
        "documentation": documentation_url,
    }

    async def answer(_request: HttpRequest) -> Answer:
        challenge = ("www-authenticate", f'Bearer realm="{issuer}"')
        return json_answer(members, status=401, headers=(("cache-control", "no-store"), challenge))

    return Endpoint(path="/", handler=answer, methods=READ)


def health_endpoints(
    checks: Mapping[str, Check], *, notes: Callable[[], Awaitable[Mapping[str, str]]]
) -> tuple[Endpoint, ...]:
    """`/livez` says that the process answers; `/readyz` runs the checks, 503 naming those that fail.

    `notes` says what is wrong in words, also what does not keep the service from its work.
    """

    async def live(_request: HttpRequest) -> Answer:
        return json_answer({"status": "alive"})

    async def ready(_request: HttpRequest) -> Answer:
        results = {name: await _result(check) for name, check in checks.items()}
        well = all(results.values())
        members = {"status": "ready" if well else "not ready", "checks": results, "notes": dict(await notes())}
        return json_answer(members, status=200 if well else 503)

    return (Endpoint(path="/livez", handler=live, methods=READ), Endpoint(path="/readyz", handler=ready, methods=READ))


async def _result(check: Check) -> bool:
    result = check()
    return result if isinstance(result, bool) else await result
