"""How fast tokens are issued, as a ratio to what the processor can sign: `python benchmarks/token_issuance.py`.

Rounds of `openssl speed rsa2048` and of token requests take turns on the same core, so that whatever else the machine
does weighs on both. The service runs as in production: `auth-service serve`, Redis, the journal on disk. On Linux it
is pinned to one core and this client to another.
"""

import argparse
import asyncio
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from local_stack.redis_server import RedisServer
from security_common.encryption import Keyring

SERVER_CORE, CLIENT_CORE = 0, 1
BODY = b"grant_type=client_credentials&client_id=mcp-client&client_secret=secret&scope=mcp.access"
REQUEST = (
    b"POST /oauth2/token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
) + BODY


def sign_rate(seconds: int) -> float:
    """RSA-2048 signatures per second of one core."""
    command = ["openssl", "speed", "-seconds", str(seconds), "rsa2048"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pin(SERVER_CORE)).stdout
    found = re.search(r"rsa\s+2048 bits\s+\S+\s+\S+\s+([\d.]+)", told)
    assert found is not None, told
    return float(found[1])


class Connection(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it has its answer."""

    def __init__(self, latencies: list[float], deadline: float) -> None:
        self.latencies = latencies
        self.deadline = deadline
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < int(re.search(rb"content-length: (\d+)", head)[1]):
            return
        assert head.startswith(b"HTTP/1.1 200"), head
        self.received = b""
        now = time.perf_counter()
        self.latencies.append(now - self.started)
        if now < self.deadline:
            self.ask()
        elif not self.done.done():
            self.transport.close()
            self.done.set_result(None)


async def token_rate(port: int, connections: int, seconds: float) -> tuple[float, list[float]]:
    """Tokens per second, and the latency of each in seconds."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Connection(latencies, started + seconds), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    return len(latencies) / (time.perf_counter() - started), latencies


def pin(core: int) -> Any:
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        return None
    return lambda: os.sched_setaffinity(0, {core})


def start_service(directory: Path, port: int, redis_url: str) -> subprocess.Popen[bytes]:
    contents = {
        "kek": Keyring.generate().dump(),
        "pepper": secrets.token_urlsafe(32),
        "cookie": secrets.token_urlsafe(),
    }
    for name, content in contents.items():
        (directory / name).write_text(content)
    environment = {
        **os.environ,
        "AUTH_DEMO": "true",
        "AUTH_PORT": str(port),
        "AUTH_ISSUER": f"http://localhost:{port}",
        "AUTH_REDIS_URL": redis_url,
        "AUTH_SIGNING_KEY_KEK_FILE": str(directory / "kek"),
        "AUTH_SECRET_PEPPER_FILE": str(directory / "pepper"),
        "AUTH_COOKIE_KEY_FILE": str(directory / "cookie"),
        "AUTH_LOG_LEVEL": "error",
        "SECURITY_AUDIT_DIR": str(directory / "audit"),
    }
    command = [Path(sys.executable).with_name("auth-service"), "serve"]
    return subprocess.Popen(command, env=environment, preexec_fn=pin(SERVER_CORE))  # noqa: PLW1509 - no threads yet


def wait_until_ready(port: int) -> float:
    """Seconds until the first ready answer."""
    started = time.perf_counter()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return time.perf_counter() - started
        except OSError:
            time.sleep(0.01)


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    wanted = parser.parse_args()
    port = 20_000 + os.getpid() % 20_000
    with tempfile.TemporaryDirectory() as name, RedisServer(Path(name) / "redis", port + 1) as redis:
        service = start_service(Path(name), port, redis.url)
        try:
            ready_seconds = wait_until_ready(port)
            if unpinned := pin(CLIENT_CORE):
                unpinned()
            measure(service.pid, port, wanted)
            print(f"first ready answer {ready_seconds:.2f} s, memory after load {resident_mib(service.pid):.0f} MiB")
        finally:
            service.terminate()
            service.wait()


def measure(pid: int, port: int, wanted: argparse.Namespace) -> None:
    asyncio.run(token_rate(port, wanted.connections, 1))  # warm
    ratios, costs, all_latencies = [], [], []
    for number in range(wanted.rounds):
        signs = sign_rate(wanted.seconds)
        before = cpu_seconds(pid)
        rate, latencies = asyncio.run(token_rate(port, wanted.connections, wanted.seconds))
        cost = (cpu_seconds(pid) - before) / len(latencies)
        ratios.append(rate / signs)
        costs.append(cost * signs)
        all_latencies += latencies
        ratio = rate / signs
        print(f"round {number + 1}: {signs:.0f} sign/s, {rate:.0f} token/s, ratio {ratio:.2f}, {cost * 1e6:.0f} us CPU")
    ordered = sorted(all_latencies)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
    print(f"tokens/s over sign/s: median {statistics.median(ratios):.2f} (target 0.55)")
    print(f"CPU per token: {statistics.median(costs):.2f} signatures; p50 {p50:.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    main()
