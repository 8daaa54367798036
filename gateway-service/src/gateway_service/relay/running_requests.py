"""Requests of older versions that are being answered, so that a client can cancel them with a notification.

A client of 2026-07-28 cancels a request by closing its connection.
"""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from security_common.tokens import Caller

__all__ = ["RunningRequests"]

_Key = tuple[str, str, str, str, str, str | int]


class RunningRequests:
    """The requests of one process, by address, caller, token and id.

    Ids are chosen by clients, and two programs with the same token can use the same one at the same time. Then it is
    not known which request is meant, and none is cancelled.
    """

    def __init__(self) -> None:
        self._tasks: dict[_Key, list[asyncio.Task[Any]]] = {}

    @contextmanager
    def track(self, address: str, caller: Caller, request_id: str | int) -> Generator[None]:
        """The current task answers this request while the block runs."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is answered in a task")
        key = _key(address, caller, request_id)
        tasks = self._tasks.setdefault(key, [])
        tasks.append(task)
        try:
            yield
        finally:
            tasks.remove(task)
            if not tasks:
                del self._tasks[key]

    def cancel(self, address: str, caller: Caller, params: Mapping[str, Any]) -> None:
        """Cancels the request that the parameters of `notifications/cancelled` name."""
        request_id: Any = params.get("requestId")
        if not isinstance(request_id, str | int) or isinstance(request_id, bool):
            return
        tasks = self._tasks.get(_key(address, caller, request_id), [])
        if len(tasks) == 1:
            tasks[0].cancel()


def _key(address: str, caller: Caller, request_id: str | int) -> _Key:
    token = caller.token
    return address, token.issuer, token.subject, token.client_id, token.token_id, request_id
