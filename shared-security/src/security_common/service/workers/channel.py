"""Questions and answers between a supervisor and one worker, as JSON lines over a pair of Unix sockets.

{"question": "metrics", "id": 3}
{"answer": "# HELP ...", "id": 3}
"""

import asyncio
import itertools
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Self

import structlog

__all__ = ["Channel", "ChannelClosed"]

_LINE_BYTES = 64 * 1024 * 1024
"""The longest line: the metrics of one process."""

log = structlog.get_logger(__name__)


class ChannelClosed(Exception):
    """The process at the other end has ended."""


class Channel:
    """One end. Both sides may send questions at any time, and several questions may wait for their answers."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[str], Awaitable[Any]]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @classmethod
    async def open(cls, end: socket.socket, answer: Callable[[str], Awaitable[Any]]) -> Self:
        """The channel over one socket of a pair. `answer` returns what is sent as JSON in answer to a question."""
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=_LINE_BYTES)
        return cls(reader, writer, answer)

    async def ask(self, question: str) -> Any:
        """The answer of the other side. Raises `ChannelClosed`."""
        if self._is_closed:
            raise ChannelClosed
        question_id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[question_id] = future
        self._send({"question": question, "id": question_id})
        try:
            return await future
        finally:
            del self._waiting[question_id]

    async def run(self) -> None:
        """Answers questions until the other side closes the channel. Then what waits for an answer fails."""
        try:
            async for line in self._reader:
                self._receive(json.loads(line))
        except OSError:
            log.debug("worker_channel_closed")
        finally:
            self._is_closed = True
            for task in self._answering:
                task.cancel()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ChannelClosed())
            self._writer.close()

    def _receive(self, message: dict[str, Any]) -> None:
        if "question" in message:
            task = asyncio.create_task(self._send_answer(message["question"], message["id"]))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        future = self._waiting.get(message["id"])  # None if the question has timed out
        if future is not None and not future.done():
            future.set_result(message["answer"])

    async def _send_answer(self, question: str, question_id: int) -> None:
        try:
            answer = await self._answer(question)
        except Exception:
            log.exception("worker_question_failed", question=question)
        else:
            self._send({"answer": answer, "id": question_id})

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")
