"""What the benchmarks of HTTP servers share: a server of its own on one CPU, and the load on another."""

import asyncio
import gc
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from local_stack.ports import free_ports

__all__ = ["Measured", "Server", "freeze_heap", "measure", "medians", "pin_load", "ratios", "serve"]

CONNECTIONS = 16
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one server: requests per second, CPU seconds per request, the 99th percentile in seconds."""

    rate: float
    cpu: float
    p99: float


class Server:
    """A process pinned to CPU 0. `command` gets the port as its last argument but those of `after`."""

    def __init__(self, command: list[str], *after: str) -> None:
        (self.port,) = free_ports(1)
        self._process = subprocess.Popen(["taskset", "-c", "0", *command, str(self.port), *after])

    async def until_open(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    def cpu_seconds(self) -> float:
        """User and system time the process has used."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Connection(asyncio.Protocol):
    """One that asks again as soon as it is answered; it notes how long each answer took."""

    def __init__(self, requests: Iterator[bytes], seconds: list[float]) -> None:
        self._requests = requests
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or not _is_whole(head.lower(), body):
            return
        if not head.startswith(b"HTTP/1.1 200") or b'"isError":true' in body:
            raise RuntimeError(f"answered {self._received[:1000]!r}")
        self._seconds.append(time.perf_counter() - self._began)
        self._received = b""
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


def _is_whole(head: bytes, body: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    start = head.index(b"content-length:") + 15
    return len(body) >= int(head[start : head.find(b"\r\n", start) % (len(head) + 1)])


async def measure(server: Server, requests: Iterator[bytes], seconds: float) -> Measured:
    """Presses for so long. Raises when an answer was none we can count."""
    await server.until_open()
    took: list[float] = []
    failed: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    cpu = server.cpu_seconds()
    opened = [
        await loop.create_connection(lambda: Connection(requests, took), "127.0.0.1", server.port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    for transport, _ in opened:
        transport.abort()
    loop.set_exception_handler(None)
    if failed:
        raise failed[0]
    p99 = statistics.quantiles(took, n=100)[98]
    return Measured(len(took) / seconds, (server.cpu_seconds() - cpu) / len(took), p99)


def pin_load() -> None:
    """Takes the load, which is this process, off the servers' CPU."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def serve(app: Any, port: int) -> None:
    """Runs an application of ours in this process, on what the services run on."""
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error")


def freeze_heap() -> None:
    """As the services do: what lives now lives until the end, and is not walked again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000)


def medians(rounds: list[Measured]) -> Mapping[str, float]:
    """What one server reached."""
    return {
        "requests/s": round(statistics.median(each.rate for each in rounds)),
        "CPU microseconds per request": round(1e6 * statistics.median(each.cpu for each in rounds)),
        "p99 milliseconds": round(1e3 * statistics.median(each.p99 for each in rounds), 1),
    }


def ratios(ours: list[Measured], theirs: list[Measured]) -> Mapping[str, float]:
    """Ours over theirs, round by round, since a disturbance of the machine hits neighbours in time alike."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "by requests/s": round(statistics.median(our.rate / their.rate for our, their in pairs), 2),
        "by CPU": round(statistics.median(their.cpu / our.cpu for our, their in pairs), 2),
        "p99": round(statistics.median(our.p99 / their.p99 for our, their in pairs), 2),
    }
