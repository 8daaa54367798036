"""What the guard costs: GET /hello with and without it, and compared with express and jose. Ratios of one run.

    python benchmarks/guard_hello.py                       # five interleaved rounds
    npm ci --prefix benchmarks/peers && python benchmarks/guard_hello.py --peer

There are two loads. `known`: every request has one of 900 tokens that the server has verified before. `unseen`: every
tenth request has a new token. The servers run on one CPU and the load on another. The ratio of CPU time per request
depends less on other work of the machine than that of requests per second.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, cycle, product
from pathlib import Path
from typing import Any

from http_load import Measured, Server, freeze_heap, measure, medians, pin_load, ratios, serve
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from security_common.guard import Guard, ProtectedResource, RequestRates
from security_common.tokens import TokenVerifier, TrustedIssuer

PEER = Path(__file__).parent / "peers" / "express_jose.mjs"
KNOWN_TOKENS, UNSEEN_EVERY = 900, 10
UNSEEN_PER_SECOND = 4000
"""More than the fastest server needs."""


def hello_app(kind: str, issuer: str, audience: str) -> Any:
    """The application of /hello, with the guard or without it."""
    greeting = PlainTextResponse("MCP OAuth2 데모에서 안녕하세요!")

    async def greet(_: object) -> PlainTextResponse:
        return greeting

    app = Starlette(routes=[Route("/hello", greet)])
    if kind == "bare":
        return app
    return Guard(
        app,
        verifier=TokenVerifier([TrustedIssuer(issuer, audience)]),
        resource=ProtectedResource(audience, [issuer], ["mcp.access"]),
        rates=RequestRates(10**9),
    )


def requests_with(tokens: Iterator[str]) -> Iterator[bytes]:
    return (
        f"GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode() for token in tokens
    )


def make_tokens(issuer: LoopbackIssuer, name: str, number: int) -> list[str]:
    return [issuer.token(jti=f"{name}-{n}", sub=f"u_{n}") for n in range(number)]


def mix(known: list[str], unseen: list[str]) -> Iterator[str]:
    """Known tokens in turn, and one of `unseen` in every tenth place."""
    next_known, next_unseen = cycle(known), iter(unseen)
    for number in count():
        yield next(next_known) if number % UNSEEN_EVERY else next(next_unseen)


def start_server(port: int, command: list[str], issuer: LoopbackIssuer) -> Server:
    return Server(port, [*command, str(port), issuer.url, issuer.audience])


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures every server with each load in each round. The first round is the warm-up and does not count."""
    measured: dict[str, list[Measured]] = defaultdict(list)
    async with LoopbackIssuer(now=time.time) as issuer:
        ours = [sys.executable, __file__, "--serve"]
        commands = {"bare": [*ours, "bare"], "guarded": [*ours, "guarded"]}
        if arguments.peer:
            commands["express + jose"] = ["node", str(PEER)]
        ports = free_ports(len(commands))
        servers = {
            kind: start_server(port, command, issuer)
            for port, (kind, command) in zip(ports, commands.items(), strict=True)
        }
        try:
            known = make_tokens(issuer, "known", KNOWN_TOKENS)
            for number in range(arguments.rounds + 1):
                unseen = make_tokens(issuer, f"round-{number}", int(UNSEEN_PER_SECOND * arguments.seconds))
                for kind, load in product(servers, ("known", "unseen")):
                    tokens = mix(known, unseen) if load == "unseen" else cycle(known)
                    result = await measure(servers[kind], requests_with(tokens), arguments.seconds)
                    if number:
                        measured[f"{kind}, {load}"].append(result)
        finally:
            for server in servers.values():
                server.stop()
    figures: dict[str, Any] = {name: medians(rounds) for name, rounds in measured.items()}
    for name, others in measured.items():
        kind, load = name.split(", ")
        if kind != "guarded":
            figures[f"guarded over {name}"] = ratios(measured[f"guarded, {load}"], others)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--peer", action="store_true", help="measure express with jose as well")
    parser.add_argument("--serve", nargs=4, metavar=("KIND", "PORT", "ISSUER", "AUDIENCE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, port, *trust = arguments.serve
        app = hello_app(kind, *trust)
        freeze_heap()
        serve(app, int(port))
        return
    pin_load()
    print(json.dumps(asyncio.run(run(arguments)), indent=2))


if __name__ == "__main__":
    main()
