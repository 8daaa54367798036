"""The application that services start from: its document, documentation pages, health, icon and metrics."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import Request, Response
from prometheus_client import CollectorRegistry

from security_common.edge import Edge, EdgeLimits, HttpResponse
from security_common.service import readiness as readiness_checks
from security_common.service.health import Readiness, ReadinessResult, health_router
from security_common.service.request_metrics import MeasuredRequests, RequestMetrics
from security_common.service.web_application import WebApplication, icon_router

pytestmark = pytest.mark.anyio


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Any], Awaitable[httpx2.AsyncClient]]]:
    """Serves an application and returns a client with its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(app: Any) -> httpx2.AsyncClient:
            config = uvicorn.Config(app, port=0, lifespan="off", log_level="warning")
            config.load()
            server = uvicorn.Server(config)
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            stack.push_async_callback(server.shutdown)
            url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            return await stack.enter_async_context(httpx2.AsyncClient(base_url=url, verify=False))

        yield start


def make_app(**options: Any) -> WebApplication:
    return WebApplication(title="Example", version="1.2.3", server_url="https://example.com", **options)


async def test_the_document_has_path_operations_and_plain_asgi_routes(serve):
    app = make_app()
    app.include_router(health_router(Readiness({})))
    greeting = HttpResponse(200, b"hello")
    app.add_asgi_route("/hello", greeting, methods=["GET"], operations={"get": {"operationId": "hello"}})
    http = await serve(app)
    response = await http.get("/openapi.json")
    assert response.headers["access-control-allow-origin"] == "*"
    document = response.json()
    assert (document["info"], document["servers"]) == (
        {"title": "Example", "version": "1.2.3"},
        [{"url": "https://example.com"}],
    )
    assert set(document["paths"]) == {"/livez", "/readyz", "/hello"}
    assert document["paths"]["/hello"] == {"get": {"operationId": "hello"}}
    assert set(document["paths"]["/readyz"]["get"]["responses"]) == {"200", "503"}
    assert ((await http.get("/hello")).text, (await http.post("/hello")).status_code) == ("hello", 405)


async def test_a_plain_asgi_route_has_the_exception_handlers_and_the_methods_of_the_application(serve):
    async def fail(*_: Any) -> None:
        raise LookupError("no such item")

    async def show_error(_: Request, error: Exception) -> Response:
        return Response(str(error), status_code=418)

    app = make_app()
    app.add_exception_handler(LookupError, show_error)
    app.add_asgi_route("/items", fail, methods=["GET"])
    http = await serve(app)
    assert ((await http.get("/items")).status_code, (await http.head("/items")).status_code) == (418, 418)
    refused = await http.delete("/items")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert (await http.get("/items/")).status_code == 404


async def test_an_unexpected_exception_is_answered_with_json(serve):
    async def fail() -> None:
        raise LookupError("a secret")

    app = make_app()
    app.add_api_route("/items", fail)
    response = await (await serve(app)).get("/items")
    assert (response.status_code, response.json()["error"]) == (500, "server_error")
    assert "secret" not in response.text
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_the_documentation_page_loads_nothing_from_other_hosts(serve):
    http = await serve(make_app(serves_docs=True))
    page = await http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "://" not in page.text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        if address != "/favicon.ico":
            assert (await http.get(address)).status_code == 200
    assert "<script>" not in page.text
    assert (await http.get("/docs/..%2f..%2fconsts.py")).status_code == 404
    assert (await http.get("/docs/redoc.standalone.js")).status_code == 404


async def test_documentation_pages_can_be_off(serve):
    http = await serve(make_app())
    for path in ("/docs", "/docs/start.js", "/redoc"):
        assert (await http.get(path)).status_code == 404


async def test_a_trailing_slash_is_not_redirected(serve):
    app = make_app()
    app.include_router(health_router(Readiness({})))
    assert (await (await serve(app)).get("/livez/")).status_code == 404


async def test_readiness_depends_on_the_required_checks(serve):
    states = {"journal": True, "redis": False}

    async def check_redis() -> ReadinessResult:
        return ReadinessResult(states["redis"], required=False, note="does not answer")

    readiness = Readiness({"journal": lambda: ReadinessResult(states["journal"]), "redis": check_redis})
    app = make_app()
    app.include_router(health_router(readiness))
    http = await serve(app)
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.headers["cache-control"]) == (200, "no-store")
    assert ready.json() == {
        "status": "ready",
        "checks": {
            "process": {"ok": True, "note": ""},
            "journal": {"ok": True, "note": ""},
            "redis": {"ok": False, "note": "does not answer"},
        },
    }
    states["journal"] = False
    unready = await http.get("/readyz")
    assert (unready.status_code, unready.headers["retry-after"], unready.json()["status"]) == (503, "1", "not ready")
    assert (await http.head("/readyz")).status_code == 503
    assert ((await http.get("/livez")).json(), (await http.head("/livez")).status_code) == ({"status": "alive"}, 200)


async def test_readiness_fails_while_the_service_drains(serve):
    readiness = Readiness({})
    app = make_app()
    app.include_router(health_router(readiness))
    http = await serve(app)
    assert (await http.get("/readyz")).status_code == 200
    readiness.start_draining()
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/livez")).status_code == 200


async def test_a_check_that_hangs_fails_in_time(monkeypatch):
    monkeypatch.setattr(readiness_checks, "CHECK_SECONDS", 0.05)

    async def hang() -> ReadinessResult:
        await asyncio.Event().wait()
        return ReadinessResult(ok=True)

    checks = await Readiness({"first": hang, "second": hang}).checks()
    assert [checks[name].ok for name in ("first", "second")] == [False, False]
    assert "no result" in checks["first"].note


async def test_the_icon_is_served(serve):
    app = make_app()
    app.include_router(icon_router())
    response = await (await serve(app)).get("/favicon.ico")
    assert response.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in response.content


async def test_requests_are_measured_by_known_path_and_status(serve):
    registry = CollectorRegistry()
    app = make_app()
    app.include_router(health_router(Readiness({})))
    metrics = RequestMetrics(registry, prefix="example", paths=["/livez"])
    edge = Edge(app, limits=EdgeLimits(max_body_bytes=1))
    http = await serve(MeasuredRequests(edge, metrics=metrics))
    for path in ("/livez", "/livez", "/chosen-by-a-client"):
        await http.get(path)
    await http.post("/livez", content=b"xx")

    def count(path: str, status: str) -> float | None:
        return registry.get_sample_value("example_request_duration_seconds_count", {"path": path, "status": status})

    assert [count("/livez", "200"), count("other", "404"), count("/livez", "413")] == [2.0, 1.0, 1.0]
