"""Pages for browsers: when one is sent, what it contains, and that programs get what they got before."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import Response
from starlette.responses import HTMLResponse, JSONResponse

from security_common.service.browser_pages import BrowserPages, StartPage, StartPageLink
from security_common.service.readiness import Readiness, ReadinessResult
from security_common.service.web_application import WebApplication

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
MARKUP = "<script>alert(1)</script>"
START_PAGE = StartPage(
    name="a service",
    title={"en": "A title", "ko": "제목"},
    purpose={"en": "What it does", "ko": "하는 일"},
    links=[
        StartPageLink({"en": "Client", "ko": "클라이언트"}, "http://localhost:1/mcp?a=1&b=2", is_page=False),
        StartPageLink({"en": "Page", "ko": "페이지"}, "http://localhost:1/page"),
    ],
)


@asynccontextmanager
async def serving(*, is_ready: bool = True) -> AsyncIterator[httpx2.AsyncClient]:
    app = WebApplication(title="tests", version="1", server_url="http://localhost:1")

    @app.get("/")
    async def root() -> Response:
        return JSONResponse({"for": "programs"})

    @app.get("/refused")
    async def refused() -> Response:
        members = {"error": "invalid_token", "error_description": f"a token {MARKUP}", "hint": "send one"}
        return JSONResponse(members, 401, {"www-authenticate": "Bearer", "cache-control": "max-age=9"})

    @app.get("/limited")
    async def limited() -> Response:
        return JSONResponse({"error": "too_many_requests"}, 429, {"retry-after": "7"})

    @app.get("/own-page")
    async def own_page() -> Response:
        return HTMLResponse("its own page", 400)

    readiness = Readiness({"redis": lambda: ReadinessResult(is_ready)})
    app.add_middleware(BrowserPages, start_page=START_PAGE, readiness=readiness, origin="http://localhost:1")
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="warning")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client:
            yield client
    finally:
        await server.shutdown()


@pytest.mark.parametrize(
    ("path", "headers", "language"),
    [
        ("/", {}, "en"),
        ("/", {"accept-language": "ko-KR,ko;q=0.9,en;q=0.8"}, "ko"),
        ("/", {"accept-language": "en;q=0.5, ko;q=0.9"}, "ko"),
        ("/", {"accept-language": "fr, ko;q=0"}, "en"),
        ("/?language=ko", {"accept-language": "en"}, "ko"),
        ("/?language=xx", {"accept-language": "ko"}, "ko"),
    ],
)
async def test_the_start_page_is_in_the_language_of_the_person(path: str, headers: dict[str, str], language: Any):
    async with serving() as client:
        page = await client.get(path, headers=BROWSER | headers)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["vary"] == "Accept, Accept-Language"
    assert f'<html lang="{language}">' in page.text
    for text in (START_PAGE.title[language], START_PAGE.purpose[language], START_PAGE.links[0].label[language]):
        assert text in page.text
    assert "<code>http://localhost:1/mcp?a=1&amp;b=2</code>" in page.text
    assert '<a href="http://localhost:1/page">' in page.text


async def test_the_start_page_shows_whether_the_service_is_ready():
    async with serving() as client:
        assert "The service is ready." in (await client.get("/", headers=BROWSER)).text
    async with serving(is_ready=False) as client:
        page = await client.get("/", headers=BROWSER)
    assert (page.status_code, "cannot do its work" in page.text) == (200, True)


async def test_the_policy_of_a_page_allows_its_own_style_and_no_scripts():
    async with serving() as client:
        page = await client.get("/", headers=BROWSER)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/]{43}='", policy)
    assert "script" not in page.text


@pytest.mark.parametrize(
    "headers",
    [{}, {"accept": "*/*"}, {"accept": "application/json, text/event-stream"}, BROWSER | {"authorization": "Bearer x"}],
)
async def test_programs_get_no_page(headers: dict[str, str]):
    async with serving() as client:
        assert (await client.get("/", headers=headers)).json() == {"for": "programs"}
        assert (await client.get("/refused", headers=headers)).json()["error"] == "invalid_token"


async def test_other_methods_get_no_page():
    async with serving() as client:
        assert (await client.post("/", headers=BROWSER)).json()["error"] == "method_not_allowed"


async def test_an_error_becomes_a_page_with_the_same_status_and_headers():
    async with serving() as client:
        page = await client.get("/refused", headers=BROWSER | {"accept-language": "ko"})
        limited = await client.get("/limited", headers=BROWSER)
    assert page.status_code == 401
    assert page.headers["www-authenticate"] == "Bearer"
    assert page.headers["cache-control"] == "no-store"
    assert "프로그램이 사용하는 주소입니다" in page.text
    assert "invalid_token: a token &lt;script&gt;" in page.text
    assert MARKUP not in page.text
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    assert "Too many requests" in limited.text


async def test_an_unknown_path_is_a_page_and_the_service_s_own_pages_stay():
    async with serving() as client:
        missing = await client.get("/missing", headers=BROWSER)
        assert (missing.status_code, "There is nothing at this address" in missing.text) == (404, True)
        assert (await client.get("/own-page", headers=BROWSER)).text == "its own page"


async def test_head_has_the_headers_of_the_page_and_no_body():
    async with serving() as client:
        page, head = await client.get("/", headers=BROWSER), await client.head("/", headers=BROWSER)
        missing = await client.head("/missing", headers=BROWSER)
    assert (head.status_code, head.content, missing.status_code, missing.content) == (200, b"", 404, b"")
    assert head.headers["content-length"] == page.headers["content-length"]
