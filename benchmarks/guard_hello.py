"""What the guard costs: GET /hello with and without it, and beside express with jose. Ratios of one run, one machine.

    python benchmarks/guard_hello.py                       # five interleaved rounds
    npm ci --prefix benchmarks/peers && python benchmarks/guard_hello.py --peer

Two loads: `known`, where all requests carry one of 900 tokens that the server has seen, and `unseen`, where every tenth
carries a token it has not. The servers run on one CPU and the load on another. Two ratios are given: of requests per
second, and of CPU time per request, which a busy machine disturbs less.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, cycle, product
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from security_common.guard import Guard, ProtectedResource, RequestRates
from security_common.tokens import TokenVerifier, TrustedIssuer

HERE = Path(__file__).parent
CONNECTIONS, KNOWN_TOKENS, UNSEEN_EVERY = 16, 900, 10
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def serve(kind: str, port: int, issuer: str, audience: str) -> None:
    """Runs one of our servers in this process."""
    greeting = PlainTextResponse("MCP OAuth2 데모에서 안녕하세요!")

    async def greet(_: object) -> PlainTextResponse:
        return greeting

    app = Starlette(routes=[Route("/hello", greet)])
    if kind == "guarded":
        app = Guard(
            app,
            verifier=TokenVerifier([TrustedIssuer(issuer, audience)]),
            resource=ProtectedResource(audience, [issuer], ["mcp.access"]),
            rates=RequestRates(10**9),
        )
    # As the service does: what lives now lives until the end, and is not walked again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error")


class Load(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    answered, refused, body_bytes = 0, 0, 0

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        Load.answered += 1
        Load.refused += not head.startswith(b"HTTP/1.1 200")
        self._received = b""
        self._transport.write(next(self._requests))


def _content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + 15
    return int(lower[start : lower.find(b"\r\n", start) % (len(lower) + 1)])


async def press(port: int, requests: Iterator[bytes], seconds: float) -> int:
    """Answers within the time. Raises when one of them was no 200."""
    Load.answered = Load.refused = 0
    loop = asyncio.get_running_loop()
    connections = [await loop.create_connection(lambda: Load(requests), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    for transport, _ in connections:
        transport.abort()
    if Load.refused:
        raise RuntimeError(f"{Load.refused} of {Load.answered} answers were no 200")
    return Load.answered


def requests_with(tokens: Iterator[str]) -> Iterator[bytes]:
    return (
        f"GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode() for token in tokens
    )


def make_tokens(issuer: LoopbackIssuer, name: str, number: int) -> list[str]:
    return [issuer.token(jti=f"{name}-{n}", sub=f"u_{n}") for n in range(number)]


def mix(known: list[str], unseen: list[str]) -> Iterator[str]:
    """Endless while the unseen last: every tenth is one of them."""
    known_again, fresh = cycle(known), iter(unseen)
    for number in count():
        yield next(known_again) if number % UNSEEN_EVERY else next(fresh)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """User and system time the process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


async def measure(arguments: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """For each server: requests per second and CPU seconds per request, round by round."""
    async with LoopbackIssuer(now=time.time) as issuer:
        kinds = ["bare", "guarded", *(["express + jose"] if arguments.peer else [])]
        servers = {kind: start(kind, issuer) for kind in kinds}
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        try:
            known = make_tokens(issuer, "known", KNOWN_TOKENS)
            for number in range(arguments.rounds + 1):
                unseen = make_tokens(issuer, f"round-{number}", arguments.unseen)
                for kind, load in product(kinds, ("known", "unseen")):
                    process, port = servers[kind]
                    await until_open(port)
                    tokens = mix(known, unseen) if load == "unseen" else cycle(known)
                    before = cpu_seconds(process)
                    answered = await press(port, requests_with(tokens), arguments.seconds)
                    if number:  # the first round warms up
                        cost = (cpu_seconds(process) - before) / answered
                        found[f"{kind}, {load}"].append((answered / arguments.seconds, cost))
        finally:
            for process, _ in servers.values():
                process.terminate()
                process.wait()
        return found


def start(kind: str, issuer: LoopbackIssuer) -> tuple[subprocess.Popen[bytes], int]:
    """A server in a process of its own, on CPU 0."""
    (port,) = free_ports(1)
    if kind == "express + jose":
        command = ["node", str(HERE / "peers" / "express_jose.mjs"), str(port), issuer.url, issuer.audience]
    else:
        command = [sys.executable, __file__, "--serve", kind, str(port), issuer.url, issuer.audience]
    return subprocess.Popen(["taskset", "-c", "0", *command]), port


async def until_open(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def report(found: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Medians, and medians of the ratios of each round."""
    figures: dict[str, float] = {}
    for name, rounds in found.items():
        figures[f"{name}: requests/s"] = round(statistics.median(rate for rate, _ in rounds))
        figures[f"{name}: CPU microseconds per request"] = round(1e6 * statistics.median(cost for _, cost in rounds))
    for name, theirs_by_round in found.items():
        kind, load = name.split(", ")
        if kind != "guarded":
            pairs = list(zip(found[f"guarded, {load}"], theirs_by_round, strict=True))
            rates = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
            costs = statistics.median(theirs[1] / ours[1] for ours, theirs in pairs)
            figures[f"guarded over {name}: by requests/s"] = round(rates, 2)
            figures[f"guarded over {name}: by CPU"] = round(costs, 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--unseen", type=int, default=4000, help="new tokens signed for each round and server")
    parser.add_argument("--peer", action="store_true", help="measure express with jose too")
    parser.add_argument("--serve", nargs=4, metavar=("KIND", "PORT", "ISSUER", "AUDIENCE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, port, issuer, audience = arguments.serve
        serve(kind, int(port), issuer, audience)
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(json.dumps(report(asyncio.run(measure(arguments))), indent=2))


if __name__ == "__main__":
    main()
