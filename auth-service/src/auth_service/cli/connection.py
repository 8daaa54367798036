"""What the commands share: settings, Redis, and printing for people or for programs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from redis.asyncio import Redis

from auth_service.settings import AuthSettings
from security_common.service import connect

__all__ = ["Json", "print_rows", "run"]

# Every command that prints a result takes it.
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]

_Result = TypeVar("_Result")


def run(work: Callable[[AuthSettings, Redis], Awaitable[_Result]]) -> _Result:
    """Does the work with the service's own settings and Redis, and closes the connection."""

    async def connected() -> _Result:
        settings = AuthSettings()
        redis = connect(settings)
        try:
            return await work(settings, redis)
        finally:
            await redis.aclose()

    return asyncio.run(connected())


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """A JSON array, or columns as wide as their widest value."""
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        return
    names = list(rows[0])
    table = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(names))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
