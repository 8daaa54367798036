"""A worker: it serves the socket that it has inherited, and answers the questions of its supervisor."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from security_common.service.readiness import CHECK_SECONDS, Readiness, ReadinessResult
from security_common.service.server import Server
from security_common.service.workers.channel import Channel, ChannelClosed
from security_common.task_cancellation import cancel_tasks

__all__ = ["ANSWER_SECONDS", "InheritedSockets", "connected_to_supervisor"]

ANSWER_SECONDS = CHECK_SECONDS + 0.2
"""How long the supervisor waits for the answer of a worker: a little longer than its checks may take."""
_ANSWER_OF_ALL_SECONDS = ANSWER_SECONDS + 0.2

_VARIABLE = "SERVICE_WORKER"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class InheritedSockets:
    """What a worker gets from its supervisor: its number, the listening socket, and its end of the channel."""

    number: int
    listener: socket.socket
    channel_end: socket.socket

    @classmethod
    def take(cls, environment: MutableMapping[str, str] = os.environ) -> Self | None:
        """The sockets that this process has inherited; None if no supervisor has started it.

        The programs that it starts inherit neither the variable nor the sockets.
        """
        value = environment.pop(_VARIABLE, None)
        if value is None:
            return None
        number, listener, channel_end = map(int, value.split())
        for descriptor in (listener, channel_end):
            os.set_inheritable(descriptor, False)
        return cls(number, socket.socket(fileno=listener), socket.socket(fileno=channel_end))

    def variables(self) -> dict[str, str]:
        """The environment variable with which `take` finds them in the started process."""
        return {_VARIABLE: f"{self.number} {self.listener.fileno()} {self.channel_end.fileno()}"}


@asynccontextmanager
async def connected_to_supervisor(
    server: Server, *, channel_end: socket.socket, readiness: Readiness, registry: CollectorRegistry
) -> AsyncGenerator[None]:
    """Reports to the supervisor that this worker accepts connections, and answers it while the block runs.

    Stops the server when the supervisor has ended.
    """

    async def answer(question: str) -> Any:
        match question:
            case "readiness":
                return {name: asdict(result) for name, result in (await readiness.own_checks()).items()}
            case "metrics":
                return generate_latest(registry).decode()
            case "retire":
                server.retire()
                return None
            case _:
                raise ValueError(question)

    channel = await Channel.open(channel_end, answer)
    readiness.combine_processes(partial(_checks_of_all, channel, readiness))
    running = asyncio.create_task(_stop_without_supervisor(channel, server), name="supervisor-channel")
    try:
        try:
            await channel.ask("started")
        except ChannelClosed:
            log.debug("supervisor_gone_at_start")
        yield
    finally:
        await cancel_tasks(running)


async def _stop_without_supervisor(channel: Channel, server: Server) -> None:
    await channel.run()
    log.warning("supervisor_ended", effect="this worker answers its requests in progress and stops")
    server.stop()


async def _checks_of_all(channel: Channel, readiness: Readiness) -> dict[str, ReadinessResult]:
    try:
        async with asyncio.timeout(_ANSWER_OF_ALL_SECONDS):
            combined = await channel.ask("readiness")
    except (TimeoutError, ChannelClosed):
        note = "the supervisor does not answer"
        return {**await readiness.own_checks(), "workers": ReadinessResult(ok=False, required=False, note=note)}
    return {name: ReadinessResult(**members) for name, members in combined.items()}
