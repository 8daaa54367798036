"""Connections that confirm a write only when it is on the disk of the primary and of a replica.

`WAITAOF 1 1` (Redis 7.2, Valkey 8) waits for the writes of its own connection. It is sent in one packet with every
command or pipeline that may write, and its answer is read after theirs. A write that is not confirmed in time raises an
error; it may have happened.

A replica that receives WAITAOF replies before it syncs the write that it received in the same packet, and the next
time after a second. Therefore WAITAOF waits for a few milliseconds and is sent again.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["REPLICA_WAIT_SECONDS", "ReplicaNotInTime", "ReplicaWaitingConnection"]

REPLICA_WAIT_SECONDS = 0.8
_FIRST_WAIT_MS, _MAX_WAIT_MS = 4, 64

# Commands that write nothing. Any other command is treated as a write; scripts are, too.
_READING_COMMANDS_TEXT = """
    ACL AUTH CLIENT COMMAND CONFIG DBSIZE DISCARD DUMP ECHO EXEC EXISTS GET GETRANGE HELLO HEXISTS HGET HGETALL HKEYS
    HLEN HMGET HSCAN HVALS INFO KEYS LLEN LRANGE MEMORY MGET MULTI PING PTTL SCAN SCARD SCRIPT SELECT SISMEMBER SMEMBERS
    SSCAN STRLEN TIME TTL TYPE UNWATCH WAIT WAITAOF WATCH XINFO XLEN XRANGE XREAD XREVRANGE ZCARD ZCOUNT ZRANGE
    ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZSCAN ZSCORE
"""
_READING_COMMANDS = frozenset(_READING_COMMANDS_TEXT.split())


class ReplicaNotInTime(RedisTimeoutError):
    """The write is not known to be on a replica's disk; it is lost if the primary fails now."""


class ReplicaWaitingConnection(AbstractConnection):
    """Waits for a replica after each write if `waits_for_replica` is set."""

    waits_for_replica = False
    # Responses of the batch that is being sent, and those that are still to be read before the answer of WAITAOF.
    _responses_of_batch = 0
    _responses_before_answer = 0

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        if not self.waits_for_replica:
            return super().pack_commands(commands)
        listed = [tuple(command) for command in commands]
        if any(_may_write(command) for command in listed):
            self._responses_of_batch = len(listed)
        return super().pack_commands(listed)

    async def send_command(self, *args: Any, **kwargs: Any) -> None:
        if self.waits_for_replica and _may_write(args):
            self._responses_of_batch = 1
        await super().send_command(*args, **kwargs)

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        responses, self._responses_of_batch = self._responses_of_batch, 0
        self._responses_before_answer = 0
        if responses == 0:
            await super().send_packed_command(command, check_health=check_health)
            return
        packed = [command] if isinstance(command, bytes) else cast("Iterable[bytes]", command)
        # Connecting, which may be a part of this, sends and reads other commands: the count is set after it.
        await super().send_packed_command([*packed, *self._wait_command(_FIRST_WAIT_MS)], check_health=check_health)
        self._responses_before_answer = responses

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            response = cast("Any", await super().read_response(*args, **kwargs))
        except ResponseError:
            await self._read_answer_if_next()
            raise
        await self._read_answer_if_next()
        return response

    async def _read_answer_if_next(self) -> None:
        """Raises `ReplicaNotInTime` if the writes are not on the disks of the primary and of a replica."""
        if self._responses_before_answer == 0:
            return
        self._responses_before_answer -= 1
        if self._responses_before_answer > 0:
            return
        deadline = time.monotonic() + REPLICA_WAIT_SECONDS
        wait_ms = _FIRST_WAIT_MS
        while not await self._read_answer():
            if time.monotonic() >= deadline:
                raise ReplicaNotInTime(f"no replica has the write on its disk after {REPLICA_WAIT_SECONDS:g} s")
            await super().send_packed_command(self._wait_command(wait_ms), check_health=False)
            wait_ms = min(2 * wait_ms, _MAX_WAIT_MS)

    async def _read_answer(self) -> bool:
        """Whether the disks of the primary and of a replica have the writes. Raises `ReplicaNotInTime`."""
        try:
            local, replicas = cast("list[int]", await super().read_response())
        except ResponseError as refused:
            raise ReplicaNotInTime(f"WAITAOF does not work: {refused}") from refused
        return local >= 1 and replicas >= 1

    def _wait_command(self, wait_ms: int) -> list[bytes]:
        return self.pack_command("WAITAOF", 1, 1, wait_ms)


def _may_write(command: Sequence[Any]) -> bool:
    name = command[0].decode() if isinstance(command[0], bytes) else str(command[0])
    return name.partition(" ")[0].upper() not in _READING_COMMANDS
