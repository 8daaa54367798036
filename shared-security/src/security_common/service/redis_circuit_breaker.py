"""A circuit breaker for Redis: a server that hangs costs one request its deadline, and not every request.

    closed   commands run; each response must arrive within the deadline
    open     commands fail at once with `RedisCircuitOpen`; one per second is sent, to find out whether Redis answers

The circuit opens when a response is late and no other response arrived meanwhile: a hanging server answers nothing,
while a single slow command must not stop all others. The first response closes it. A server that refuses connections
does not open the circuit, because its commands fail at once anyway.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, cast

from redis.asyncio.connection import (
    AbstractConnection,
    BlockingConnectionPool,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from security_common.service.redis_replica_wait import REPLICA_WAIT_SECONDS, ReplicaWaitingConnection

__all__ = ["CircuitBreaker", "CircuitBreakerPool", "RedisCircuitOpen"]

PROBE_INTERVAL_SECONDS = 1.0
# Commands for which the server itself waits, for as long as an argument says.
_WAITING_COMMANDS = {"XREAD", "XREADGROUP", "WAITAOF"}

logger = logging.getLogger(__name__)


class RedisCircuitOpen(RedisTimeoutError):
    """The command was not sent, because Redis did not answer the previous ones."""


class CircuitBreaker:
    """The state of the circuit. `clock` returns seconds; `deadline_seconds` is how long a response may take."""

    def __init__(self, *, deadline_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_open = False
        self.deadline_seconds = deadline_seconds
        self._clock = clock
        self._last_response_at = -deadline_seconds
        self._next_probe_at = 0.0

    def check(self) -> None:
        """Raises `RedisCircuitOpen` while the circuit is open, except for the one command per second that probes."""
        if not self.is_open:
            return
        now = self._clock()
        if now < self._next_probe_at:
            raise RedisCircuitOpen("Redis does not answer; this command was not sent")
        self._next_probe_at = now + PROBE_INTERVAL_SECONDS

    def note_response(self) -> None:
        """Closes the circuit."""
        self._last_response_at = self._clock()
        if self.is_open:
            self.is_open = False
            logger.info("redis_circuit_closed")

    def note_late_response(self) -> None:
        """Opens the circuit, unless another response arrived within the deadline."""
        now = self._clock()
        if self.is_open or now - self._last_response_at < self.deadline_seconds:
            return
        self.is_open = True
        self._next_probe_at = now + PROBE_INTERVAL_SECONDS
        logger.warning("redis_circuit_opened deadline_seconds=%s", self.deadline_seconds)


class _ObservedConnection(ReplicaWaitingConnection):
    """Reports responses and exceeded deadlines to the circuit breaker of its pool."""

    circuit: CircuitBreaker

    async def connect(self) -> None:
        try:
            await super().connect()
        except RedisTimeoutError:
            self.circuit.note_late_response()
            raise

    async def send_command(self, *args: Any, **kwargs: Any) -> None:
        seconds = self.circuit.deadline_seconds
        if args[0] in _WAITING_COMMANDS:
            seconds += _server_wait_seconds(args)
        if self.waits_for_replica:
            seconds += REPLICA_WAIT_SECONDS
        self.socket_timeout = seconds
        await super().send_command(*args, **kwargs)

    if sys.version_info < (3, 12):

        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            """Raises `CancelledError` also if the cancellation arrives as the command has just been sent.

            redis-py calls `asyncio.wait_for`, which before Python 3.12 discards such a cancellation.
            """
            task = asyncio.current_task()
            earlier_cancellations = task.cancelling() if task is not None else 0
            await super().send_packed_command(*args, **kwargs)
            if task is not None and task.cancelling() > earlier_cancellations:
                await self.disconnect(nowait=True)  # its next response would belong to this command
                raise asyncio.CancelledError

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            response = await super().read_response(*args, **kwargs)
        except RedisTimeoutError:
            self.circuit.note_late_response()
            raise
        except ResponseError:
            self.circuit.note_response()
            raise
        self.circuit.note_response()
        return response


class _ObservedTcpConnection(_ObservedConnection, Connection):
    pass


class _ObservedTlsConnection(_ObservedConnection, SSLConnection):
    pass


class _ObservedUnixConnection(_ObservedConnection, UnixDomainSocketConnection):
    pass


class _ObservedSentinelConnection(_ObservedConnection, SentinelManagedConnection):
    pass


class _ObservedSentinelTlsConnection(_ObservedConnection, SentinelManagedSSLConnection):
    pass


_OBSERVED_CLASSES: dict[type[AbstractConnection], type[_ObservedConnection]] = {
    Connection: _ObservedTcpConnection,
    SSLConnection: _ObservedTlsConnection,
    UnixDomainSocketConnection: _ObservedUnixConnection,
    SentinelManagedConnection: _ObservedSentinelConnection,
    SentinelManagedSSLConnection: _ObservedSentinelTlsConnection,
}


class CircuitBreakerPool(BlockingConnectionPool):
    """A connection pool with a circuit breaker. All clients that use the pool share the circuit.

    With `waits_for_replica`, a write is confirmed when a replica has it on its disk (`redis_replica_wait`).
    """

    def __init__(
        self,
        *,
        circuit: CircuitBreaker,
        waits_for_replica: bool = False,
        connection_class: type[AbstractConnection] = Connection,
        **connection_arguments: Any,
    ) -> None:
        response_seconds = circuit.deadline_seconds + (REPLICA_WAIT_SECONDS if waits_for_replica else 0.0)
        super().__init__(
            connection_class=_OBSERVED_CLASSES[connection_class],
            socket_timeout=response_seconds,
            socket_connect_timeout=circuit.deadline_seconds,
            **connection_arguments,
        )
        self.circuit = circuit
        self._waits_for_replica = waits_for_replica

    @property
    def connections_in_use(self) -> int:
        """How many connections run a command at present."""
        return len(self._in_use_connections)

    def make_connection(self) -> _ObservedConnection:
        connection = cast("_ObservedConnection", super().make_connection())
        connection.circuit = self.circuit
        connection.waits_for_replica = self._waits_for_replica
        return connection

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        # Here and not before the pool waits for a free connection: the circuit may open while it waits.
        self.circuit.check()
        await super().ensure_connection(connection)


def _server_wait_seconds(args: tuple[Any, ...]) -> float:
    """How long the server may wait before it answers: the last argument of WAITAOF, or the one after BLOCK."""
    if args[0] == "WAITAOF":
        return float(args[-1]) / 1000
    words = [arg.decode() if isinstance(arg, bytes) else str(arg) for arg in args]
    return float(words[words.index("BLOCK") + 1]) / 1000 if "BLOCK" in words else 0.0
