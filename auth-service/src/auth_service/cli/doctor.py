"""`auth-service doctor`: what an operator would otherwise find out one failure at a time."""

import asyncio

from auth_service.cli.connection import Json
from auth_service.settings import AuthSettings
from security_common.service import CheckResult, connect_redis, print_check_results

__all__ = ["doctor"]


def doctor(*, json: Json = False) -> None:
    """Look at declaration, Redis, keys, clock and issuer, and say how to fix what is wrong; exit 1 in that case.

    For example: auth-service doctor --json
    """
    print_check_results(asyncio.run(_examine(AuthSettings())), as_json=json)


async def _examine(settings: AuthSettings) -> list[CheckResult]:
    from auth_service.cli.examination import examine  # noqa: PLC0415 - `serve` need not hold what only this command uses

    async with connect_redis(settings) as redis:
        return await examine(settings, redis)
