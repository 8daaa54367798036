"""What the guard costs: GET /hello with and without it, and beside express with jose. Ratios of one run, one machine.

    python benchmarks/guard_hello.py                       # five interleaved rounds
    npm ci --prefix benchmarks/peers && python benchmarks/guard_hello.py --peer

Two loads: `known`, where all requests carry one of 900 tokens that the server has seen, and `unseen`, where every tenth
carries a token it has not. The servers run on one CPU and the load on another. Two ratios are given: of requests per
second, and of CPU time per request, which a busy machine disturbs less.
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
from security_common.guard import Guard, ProtectedResource, RequestRates
from security_common.tokens import TokenVerifier, TrustedIssuer

PEER = Path(__file__).parent / "peers" / "express_jose.mjs"
KNOWN_TOKENS, UNSEEN_EVERY = 900, 10
UNSEEN_PER_SECOND = 4000
"""More than the fastest of the servers asks for."""


def hello_app(kind: str, issuer: str, audience: str) -> Any:
    """The greeting, guarded or bare."""
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
    """Endless while the unseen last: every tenth is one of them."""
    known_again, fresh = cycle(known), iter(unseen)
    for number in count():
        yield next(known_again) if number % UNSEEN_EVERY else next(fresh)


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every server and load in turn, round after round; the first round warms up."""
    found: dict[str, list[Measured]] = defaultdict(list)
    async with LoopbackIssuer(now=time.time) as issuer:
        ours = [sys.executable, __file__, "--serve"]
        servers = {kind: Server(ours, kind, issuer.url, issuer.audience) for kind in ("bare", "guarded")}
        if arguments.peer:
            servers["express + jose"] = Server(["node", str(PEER)], issuer.url, issuer.audience)
        try:
            known = make_tokens(issuer, "known", KNOWN_TOKENS)
            for number in range(arguments.rounds + 1):
                unseen = make_tokens(issuer, f"round-{number}", int(UNSEEN_PER_SECOND * arguments.seconds))
                for kind, load in product(servers, ("known", "unseen")):
                    tokens = mix(known, unseen) if load == "unseen" else cycle(known)
                    measured = await measure(servers[kind], requests_with(tokens), arguments.seconds)
                    if number:
                        found[f"{kind}, {load}"].append(measured)
        finally:
            for server in servers.values():
                server.stop()
    figures: dict[str, Any] = {name: medians(rounds) for name, rounds in found.items()}
    for name in (name for name in found if not name.startswith("guarded")):
        load = name.split(", ")[1]
        figures[f"guarded over {name}"] = ratios(found[f"guarded, {load}"], found[name])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--peer", action="store_true", help="measure express with jose too")
    parser.add_argument("--serve", nargs=4, metavar=("PORT", "KIND", "ISSUER", "AUDIENCE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        port, *rest = arguments.serve
        app = hello_app(*rest)
        freeze_heap()
        serve(app, int(port))
        return
    pin_load()
    print(json.dumps(asyncio.run(run(arguments)), indent=2))


if __name__ == "__main__":
    main()
