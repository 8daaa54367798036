"""A TCP proxy for Redis that closes connections after a command was executed and before its reply arrives."""

import asyncio
import random
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from local_stack.addresses import LOOPBACK
from local_stack.ports import free_ports

__all__ = ["FlakyProxy"]


class FlakyProxy:
    """Forwards connections to `target_port`, which may change: open connections are closed then.

    `cut_share` of the replies are lost, chosen by a seeded generator. It runs in a thread with its own event loop.
    """

    def __init__(self, target_port: int, *, cut_share: float = 0.0, seed: int = 0) -> None:
        (self.port,) = free_ports(1)
        self.cuts = 0
        self.cut_share = cut_share
        self._target_port = target_port
        self._random = random.Random(seed)  # noqa: S311  # a repeatable fault, not a secret
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def redirect_to(self, target_port: int) -> None:
        """Forwards to another Redis from now on, as after a failover."""
        self._target_port = target_port
        self._loop.call_soon_threadsafe(self._cut_all)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._relay, LOOPBACK, self.port)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        self._cut_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _cut_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_redis, from_redis = None, None
            with suppress(OSError):
                to_redis, from_redis = await asyncio.open_connection(LOOPBACK, self._target_port)
            if to_redis is None or from_redis is None:
                return
            self._writers |= {writer, from_redis}
            replies = asyncio.create_task(self._pump(to_redis, writer, share=self.cut_share))
            await self._pump(reader, from_redis, share=0.0)
            await replies
            self._writers -= {writer, from_redis}
        finally:
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, share: float) -> None:
        with suppress(OSError):
            while True:
                data = await reader.read(65536)
                if not data:
                    break
                if share and self._random.random() < share:
                    self.cuts += 1
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
