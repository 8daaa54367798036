"""What a secured tool call costs, compared with FastMCP without security. Ratios of one run on one machine.

    python benchmarks/tool_call.py [--rounds 7] [--seconds 4]

secured    the layers of the resource service: guard, 1,000 tokens, `secure_tool`, audit events on disk and in Redis
stock      FastMCP as in its documentation, without tokens; its responses are JSON, which is faster than streams
tuned      stock with the optimizations of the resource service: known schemas, no unused spans, a frozen heap

All calls use the tool `echo` in the protocol of 2026-07-28, each with a different text. The servers run on one CPU,
one at a time, and load and Redis on another. CPU time is that of the server process.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import fastmcp
from fastmcp import FastMCP
from http_load import Measured, Server, freeze_heap, measure, medians, pin_load, ratios, serve
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from mcp_resource_service.tools import McpEndpoint
from security_common import secure_tool, tool_policy
from security_common.audit import open_journal
from security_common.fastmcp import ServiceUnavailableMiddleware, secure_server
from security_common.guard import Guard, ProtectedResource, RequestRates
from security_common.service.request_metrics import MeasuredRequests, RequestMetrics
from security_common.service.web_application import WebApplication
from security_common.settings import SecuritySettings
from security_common.tokens import TokenVerifier, TrustedIssuer

TOKENS = 1000
COMPARED = {
    "secured, 1 tool": ("stock, 1 tool", "tuned, 1 tool"),
    "secured, 25 tools": ("stock, 25 tools", "tuned, 25 tools"),
}


def make_server(tools: int, *, secured: bool) -> FastMCP:
    """A server with the tool `echo` and others, `tools` in total."""
    mcp: FastMCP = FastMCP("benchmark")
    policy: Any = secure_tool(pii_policy="mask") if secured else lambda function: function

    async def echo(text: str) -> str:
        """Returns its argument."""
        return text

    for number in range(tools):
        mcp.tool(name=f"echo_{number}" if number else "echo")(policy(echo))
    return mcp


def bare_app(kind: str, tools: int) -> Any:
    """FastMCP without security, stock or tuned."""
    mcp = make_server(tools, secured=False)
    if kind == "tuned":
        schemas = {tool.name: tool.parameters for tool in asyncio.run(mcp.list_tools())}
        mcp._mcp_server.get_tool_input_schema = schemas.get  # noqa: SLF001 - as `secure_server` does
    return mcp.http_app(path="/mcp", stateless_http=True, json_response=True)


def secured_app(tools: int, issuer: str, audience: str, redis_url: str) -> Any:
    """The layers of the resource service around a tool that only returns its argument."""
    redis = Redis.from_url(redis_url, decode_responses=True)
    settings = SecuritySettings(audit_dir=Path(tempfile.mkdtemp()))
    journal = open_journal(service="benchmark", settings=settings, redis=redis)
    tool_policy.configure(journal=journal)
    mcp = make_server(tools, secured=True)
    # As in the service, one tool needs a scope of its own, so that the guard reads the body of every call.
    tool_scopes = {**secure_server(mcp), "other": frozenset({"mcp.decrypt"})}
    endpoint = McpEndpoint(mcp, path="/mcp", long_tools=())

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        await journal.start()
        async with endpoint.lifespan():
            yield
        await journal.stop()
        await redis.aclose()

    app = WebApplication(title="benchmark", version="1", server_url="http://localhost", lifespan=lifespan)
    app.add_asgi_route("/mcp", ServiceUnavailableMiddleware(endpoint))
    app.add_middleware(
        Guard,
        verifier=TokenVerifier([TrustedIssuer(issuer, audience)]),
        resource=ProtectedResource(audience, [issuer], ["mcp.access"]),
        journal=journal,
        tool_scopes=tool_scopes,
        rates=RequestRates(10**9, redis=redis),
    )
    app.add_middleware(MeasuredRequests, metrics=RequestMetrics(CollectorRegistry(), prefix="mcp", paths=["/mcp"]))
    return app


def requests_with(tokens: list[str]) -> Iterator[bytes]:
    """Endless calls of `echo`, each with another text and the next token."""
    names = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "load", "version": "1"}, "clientCapabilities": {}}
    meta = {f"io.modelcontextprotocol/{name}": value for name, value in names.items()}
    for number in count():
        text = f"Order {number}: 서울 창고에서 상자 열두 개를 보냈습니다. It arrives on Tuesday, at the back door."
        params = {"name": "echo", "arguments": {"text": text}, "_meta": meta}
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
        yield (
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            "Mcp-Method: tools/call\r\nMcp-Name: echo\r\n"
            f"Authorization: Bearer {tokens[number % len(tokens)]}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


def start_server(name: str, port: int, issuer: LoopbackIssuer, redis_url: str) -> Server:
    """Starts this program as the server of a name such as `secured, 25 tools`."""
    kind, tools = name.removesuffix("s").removesuffix(" tool").split(", ")
    arguments = [str(port), kind, tools, issuer.url, issuer.audience, redis_url]
    return Server(port, [sys.executable, __file__, "--serve", *arguments])


async def run(rounds: int, seconds: float) -> dict[str, Any]:
    """Measures every server in each round. The first round is the warm-up and does not count."""
    measured: dict[str, list[Measured]] = defaultdict(list)
    names = [name for ours, others in COMPARED.items() for name in (ours, *others)]
    redis_port, *ports = free_ports(1 + len(names))
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder), redis_port) as redis:
        async with LoopbackIssuer(now=time.time) as issuer:
            requests = requests_with([issuer.token(jti=str(n), sub=f"u_{n}", exp=2**40) for n in range(TOKENS)])
            servers = {
                name: start_server(name, port, issuer, redis.url) for name, port in zip(names, ports, strict=True)
            }
            try:
                for number in range(rounds + 1):
                    for name, server in servers.items():
                        result = await measure(server, requests, seconds)
                        if number:
                            measured[name].append(result)
            finally:
                for server in servers.values():
                    server.stop()
    figures: dict[str, Any] = {name: medians(rounds) for name, rounds in measured.items()}
    for ours, others in COMPARED.items():
        figures |= {f"{ours} over {other}": ratios(measured[ours], measured[other]) for other in others}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument(
        "--serve", nargs=6, metavar=("PORT", "KIND", "TOOLS", "ISSUER", "AUDIENCE", "REDIS"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.serve:
        port, kind, tools, *trust = arguments.serve
        if kind != "stock":
            fastmcp.settings.telemetry_mode = "propagation_only"
        app = secured_app(int(tools), *trust) if kind == "secured" else bare_app(kind, int(tools))
        if kind != "stock":
            freeze_heap()
        serve(app, int(port))
        return
    pin_load()
    print(json.dumps(asyncio.run(run(arguments.rounds, arguments.seconds)), indent=2))


if __name__ == "__main__":
    main()
