"""Cancellation of asyncio tasks that may ignore the first request."""

import asyncio
from typing import Any

__all__ = ["cancel_tasks"]

RETRY_SECONDS = 0.2


async def cancel_tasks(*tasks: "asyncio.Task[Any]") -> None:
    """Cancels the tasks and returns when all of them have ended.

    The cancellation is repeated: on Python 3.11 a `wait_for`, as inside redis-py, can swallow a cancellation.
    """
    running = [task for task in tasks if not task.done()]
    while running:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=RETRY_SECONDS)
        running = [task for task in running if not task.done()]
