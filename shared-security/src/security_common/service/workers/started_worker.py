"""A worker in its supervisor: the process, the channel, and whether it accepts connections."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Self

from security_common.service.workers.channel import Channel, ChannelClosed
from security_common.service.workers.worker import ANSWER_SECONDS, InheritedSockets
from security_common.task_cancellation import cancel_tasks

__all__ = ["StartedWorker"]


class StartedWorker:
    """Created by `start`. `answer` of the supervisor gets the questions of this worker."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.is_retiring = False
        self._process = process
        self._started = asyncio.Event()
        self._started_at: float | None = None
        self._channel: Channel | None = None
        self._running: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, number: int, listener: socket.socket, answer: Callable[["StartedWorker", str], Awaitable[Any]]
    ) -> Self:
        """Starts this program once more, with the listening socket and one end of a channel. Raises OSError."""
        own_end, channel_end = socket.socketpair()
        inherited = InheritedSockets(number, listener, channel_end)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                env={**os.environ, **inherited.variables()},
                pass_fds=(listener.fileno(), channel_end.fileno()),
                # So that Ctrl-C reaches the supervisor only, which then stops the workers.
                process_group=0,
            )
        except OSError:
            own_end.close()
            raise
        finally:
            channel_end.close()
        worker = cls(number, process)
        worker._channel = await Channel.open(own_end, lambda question: answer(worker, question))
        worker._running = asyncio.create_task(worker._channel.run(), name="worker-channel")
        return worker

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.returncode is not None

    @property
    def accepts_connections(self) -> bool:
        """Whether it has started, is not retiring, and has not ended."""
        return self._started_at is not None and not self.is_retiring and not self.has_ended

    @property
    def seconds_since_start(self) -> float:
        """How long it has accepted connections; 0 before."""
        return 0.0 if self._started_at is None else asyncio.get_running_loop().time() - self._started_at

    def note_start(self) -> None:
        """Notes that it accepts connections."""
        self._started_at = asyncio.get_running_loop().time()
        self._started.set()

    async def wait_for_start(self, seconds: float) -> bool:
        """Whether it accepts connections; false if it has ended before, or has not started after this time."""
        waiting = (
            asyncio.create_task(self._started.wait(), name="worker-start"),
            asyncio.create_task(self.wait_for_end(), name="worker-end"),
        )
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_tasks(*waiting)
        return self._started.is_set() and not self.has_ended

    async def ask(self, question: str) -> Any:
        """Its answer; None if it does not answer in time."""
        if self._channel is None:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._channel.ask(question)
        except (TimeoutError, ChannelClosed):
            return None

    async def retire(self) -> None:
        """Makes it stop without a failed request. Returns before it has ended."""
        self.is_retiring = True
        await self.ask("retire")

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless it has ended."""
        if not self.has_ended:
            self._process.send_signal(number)

    async def wait_for_end(self) -> int:
        """The exit status; a negative number is the signal that has ended it."""
        return await self._process.wait()

    async def close(self) -> None:
        """Closes the channel after the end of the process."""
        if self._running is not None:
            await cancel_tasks(self._running)
