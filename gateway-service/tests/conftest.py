"""A running gateway on a real socket, an issuer, and the upstreams of each test."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
import yaml
from redis.asyncio import Redis

from gateway_service.app import create_app
from gateway_service.declaration import load_declaration
from gateway_service.settings import GatewaySettings
from local_stack.loopback_issuer import Answerer, LoopbackIssuer
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.audit import Journal
from security_common.encryption import Keyring

RESOURCE = "http://localhost:8083/mcp"
VERSION = "2026-07-28"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    (port,) = free_ports(1)
    with RedisServer(tmp_path_factory.mktemp("redis"), port) as server:
        yield server


@dataclass
class Answer:
    """The response to one message. `message` is None if it has no body."""

    status: int
    headers: Mapping[str, str]
    message: dict[str, Any] | None

    @property
    def result(self) -> dict[str, Any]:
        assert self.message is not None
        assert "result" in self.message, self.message
        return self.message["result"]

    @property
    def error(self) -> dict[str, Any]:
        assert self.message is not None
        return self.message["error"]

    @property
    def text(self) -> str:
        """The text of the first content block."""
        return self.result["content"][0]["text"]


@dataclass
class Gateway:
    """A gateway that listens, with its issuer and the folder of its journal."""

    url: str
    issuer: LoopbackIssuer
    http: httpx2.AsyncClient
    audit_dir: Path
    journal: Journal

    def token(self, upstream: str = "", **changes: Any) -> str:
        """A token for the address with all upstreams, or for that of one of them."""
        audience = f"{RESOURCE}/{upstream}" if upstream else RESOURCE
        return self.issuer.token(**{"aud": audience, **changes})

    def mcp_url(self, upstream: str = "") -> str:
        return f"{self.url}/mcp/{upstream}" if upstream else f"{self.url}/mcp"

    async def post(
        self, body: bytes, headers: Mapping[str, str], *, upstream: str = "", token: str | None = None
    ) -> Answer:
        bearer = token if token is not None else self.token(upstream)
        all_headers = {"content-type": "application/json", "authorization": f"Bearer {bearer}", **headers}
        response = await self.http.post(self.mcp_url(upstream), content=body, headers=all_headers)
        message = response.json() if response.headers.get("content-type") == "application/json" else None
        return Answer(response.status_code, response.headers, message)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        upstream: str = "",
        token: str | None = None,
        stateless: bool = True,
        headers: Mapping[str, str] | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Sends one request as a client of 2026-07-28 with these capabilities, or as one of an older version."""
        members: dict[str, Any] = dict(params or {})
        sent = {"accept": "application/json, text/event-stream"}
        if stateless:
            prefix = "io.modelcontextprotocol/"
            members["_meta"] = {
                f"{prefix}protocolVersion": VERSION,
                f"{prefix}clientCapabilities": dict(capabilities or {}),
            }
            sent |= {"mcp-protocol-version": VERSION, "mcp-method": method}
            named = members.get("name", members.get("uri"))
            if method in {"tools/call", "prompts/get", "resources/read"} and isinstance(named, str):
                sent["mcp-name"] = named
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": members}
        return await self.post(
            json.dumps(message).encode(), {**sent, **(headers or {})}, upstream=upstream, token=token
        )

    async def call(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, upstream: str = "", **options: Any
    ) -> Answer:
        params = {"name": tool, "arguments": dict(arguments or {})}
        return await self.request("tools/call", params, upstream=upstream, **options)

    async def tool_names(self, upstream: str = "", **options: Any) -> list[str]:
        listed = await self.request("tools/list", upstream=upstream, **options)
        return [tool["name"] for tool in listed.result["tools"]]

    async def wait_until_listed(self, *names: str) -> None:
        """Waits until the tools of these upstreams are known."""
        while True:
            checks = (await self.http.get(f"{self.url}/readyz")).json()["checks"]
            if all(checks[f"upstream:{name}"]["ok"] for name in names):
                return
            await asyncio.sleep(0.02)

    async def wait_for_problem(self, name: str) -> str:
        """What /readyz says about an upstream, once it could not be asked."""
        while True:
            note: str = (await self.http.get(f"{self.url}/readyz")).json()["checks"][f"upstream:{name}"]["note"]
            if note != "not reached yet":
                return note
            await asyncio.sleep(0.02)

    async def wait_for_event(self) -> dict[str, Any]:
        """The first recorded tool call, once there is one."""
        while True:
            recorded = self.events()
            if recorded:
                return recorded[0]
            await asyncio.sleep(0.01)

    def events(self, event_type: str = "tool_call") -> list[dict[str, Any]]:
        """The recorded events of this type, from the journal's file."""
        lines = (self.audit_dir / "gateway-service" / "0" / "security_audit.log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event_type"] == event_type]


async def serve(app: Any, stack: AsyncExitStack, *, lifespan: str = "on") -> str:
    """Serves an application on a free port until the stack closes, and returns its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan=lifespan, log_level="warning", proxy_headers=False, log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    assert not server.should_exit, "the application did not start"
    stack.push_async_callback(server.shutdown, sockets=[listener])
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
async def serve_app() -> AsyncIterator[Callable[[Any], Awaitable[str]]]:
    """Serves an application, such as an upstream, and returns its URL."""
    async with AsyncExitStack() as stack:
        yield lambda app: serve(app, stack)


StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def gateway_stack() -> AsyncIterator[AsyncExitStack]:
    """What `start_gateway` has started. Closing it stops the gateways."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def start_gateway(tmp_path: Path, redis_server: RedisServer, gateway_stack: AsyncExitStack) -> StartGateway:
    """Starts gateways from the members of a gateway.yaml, or from a file that the test has written."""
    stack = gateway_stack
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()  # each test has secrets of its own

    async def start(
        upstreams: Mapping[str, Any] | Path,
        *,
        settings: Mapping[str, Any] | None = None,
        token_endpoint: Answerer | None = None,
        **members: Any,
    ) -> Gateway:
        if isinstance(upstreams, Path):
            file = upstreams
        else:
            file = tmp_path / "gateway.yaml"
            file.write_text(yaml.safe_dump({"upstreams": dict(upstreams), **members}))
        issuer = await stack.enter_async_context(LoopbackIssuer(RESOURCE, now=time.time))
        if token_endpoint is not None:
            issuer.answers["/token"] = token_endpoint
        keyring = tmp_path / "keyring.json"
        if not keyring.exists():
            keyring.write_text(Keyring.generate().dump())
        audit_dir = tmp_path / "audit"
        own = GatewaySettings(
            **{
                "upstreams": file,
                "issuer": issuer.url,
                "resource": RESOURCE,
                "redis_url": redis_server.url,
                "security": {"audit_dir": audit_dir, "encryption_key_file": keyring},
                **(settings or {}),
            }
        )
        app = create_app(own, load_declaration(file, {}))
        url = await serve(app, stack)
        http = await stack.enter_async_context(httpx2.AsyncClient(verify=False, timeout=20))
        return Gateway(url, issuer, http, audit_dir, app.state.journal)

    return start
