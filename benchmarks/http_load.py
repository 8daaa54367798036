"""What the HTTP benchmarks share: server processes on one CPU, the load on another, and the figures."""

import asyncio
import gc
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

__all__ = [
    "SERVER_CPU",
    "Measured",
    "Server",
    "cpu_seconds",
    "freeze_heap",
    "measure",
    "medians",
    "pin_load",
    "ratios",
    "resident_mib",
    "serve",
]

SERVER_CPU = 0
CONNECTIONS = 16
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one server: requests per second, CPU seconds per request, and response times in seconds."""

    rate: float
    cpu: float
    p50: float
    p99: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def resident_mib(pid: int) -> float:
    """The memory of a process at present."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Server:
    """A server process that listens on a port of 127.0.0.1, pinned to one CPU, or to that of the load (`cpu=None`)."""

    def __init__(
        self,
        port: int,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        cpu: int | None = SERVER_CPU,
    ) -> None:
        self.port = port
        pinned = ["taskset", "-c", str(cpu)] if cpu is not None else []
        # Standard output is for the figures.
        self._process = subprocess.Popen([*pinned, *command], env=environment, stdout=subprocess.DEVNULL)

    async def wait_until_open(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        return cpu_seconds(self._process.pid)

    def resident_mib(self) -> float:
        """The memory of the process at present."""
        return resident_mib(self._process.pid)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Connection(asyncio.Protocol):
    """A keep-alive connection that sends the next request as soon as it has a response."""

    def __init__(self, requests: Iterator[bytes], response_seconds: list[float]) -> None:
        self._requests = requests
        self._response_seconds = response_seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send_request()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or not _is_complete(head.lower(), body):
            return
        if not head.startswith(b"HTTP/1.1 200") or b'"isError":true' in body:
            raise RuntimeError(f"unexpected response: {self._received[:1000]!r}")
        self._response_seconds.append(time.perf_counter() - self._sent_at)
        self._received = b""
        self._send_request()

    def _send_request(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


def _is_complete(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    content_length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(content_length)


async def measure(
    server: Server, requests: Iterator[bytes], seconds: float, *, connections: int = CONNECTIONS
) -> Measured:
    """Sends requests on all connections for so many seconds. Raises RuntimeError for a response that is not 200."""
    await server.wait_until_open()
    response_seconds: list[float] = []
    errors: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    cpu_before = server.cpu_seconds()
    opened = [
        await loop.create_connection(lambda: Connection(requests, response_seconds), "127.0.0.1", server.port)
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for transport, _ in opened:
        transport.abort()
    loop.set_exception_handler(None)
    if errors:
        raise errors[0]
    percentiles = statistics.quantiles(response_seconds, n=100)
    return Measured(
        rate=len(response_seconds) / seconds,
        cpu=(server.cpu_seconds() - cpu_before) / len(response_seconds),
        p50=percentiles[49],
        p99=percentiles[98],
    )


def pin_load() -> None:
    """Moves this process, which produces the load, to another CPU than that of the servers."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def serve(app: Any, port: int) -> None:
    """Runs an application in this process, with the event loop and HTTP parser of the services."""
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error")


def freeze_heap() -> None:
    """Takes all present objects out of garbage collection, as the services do after their start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000)


def medians(rounds: list[Measured]) -> Mapping[str, float]:
    """The median figures of one server."""
    return {
        "requests/s": round(statistics.median(each.rate for each in rounds)),
        "CPU microseconds per request": round(1e6 * statistics.median(each.cpu for each in rounds)),
        "p50 milliseconds": round(1e3 * statistics.median(each.p50 for each in rounds), 1),
        "p99 milliseconds": round(1e3 * statistics.median(each.p99 for each in rounds), 1),
    }


def ratios(ours: list[Measured], others: list[Measured]) -> Mapping[str, float]:
    """The median of our figures divided by those of another server, round by round.

    Other work on the machine slows down both servers of a round, so a ratio is steadier than the figures.
    """
    pairs = list(zip(ours, others, strict=True))
    return {
        "by requests/s": round(statistics.median(our.rate / other.rate for our, other in pairs), 2),
        "by CPU": round(statistics.median(other.cpu / our.cpu for our, other in pairs), 2),
        "p99": round(statistics.median(our.p99 / other.p99 for our, other in pairs), 2),
    }
