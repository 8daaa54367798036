"""If a dependency fails, people see a page that says what to do, and programs get 503 with Retry-After."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from running_auth import Service, StartService, free_port
from signing_in import DECLARATION, Person, Request, redeem

from local_stack.redis_server import RedisServer

UNAVAILABLE = {"en": "go back to the app and start again", "ko": "앱으로 돌아가 다시 시작해 주세요"}
FAILED = {"en": "give the reference below to the operator of this server", "ko": "서버 운영자에게 알려 주세요"}


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    (tmp_path / "auth.yaml").write_text(DECLARATION)
    return tmp_path / "auth.yaml"


@pytest.fixture(params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def visit(language: str) -> Iterator[Callable[[Service], Person]]:
    visitors: list[Person] = []

    def come(service: Service) -> Person:
        visitors.append(Person(f"http://127.0.0.1:{service.settings.port}", language=language))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.http.close()


def is_a_page_for_people(answer: httpx2.Response, status: int, words: dict[str, str], language: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert f'<html lang="{language}">' in answer.text
    assert words[language] in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers
    for inside in ("Traceback", "redis", "Error:", ".py"):
        assert inside not in answer.text


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_is_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdatasync", disk_is_full)


def test_redis_becomes_unavailable_during_a_sign_in(
    start_service: StartService, tmp_path: Path, declaration: Path, visit: Callable[[Service], Person], language: str
) -> None:
    server = RedisServer(tmp_path / "redis", free_port())
    server.start()
    service = start_service(redis_url=server.url, config=declaration)
    person = visit(service)
    page = person.open(Request("app").path)
    server.kill()
    is_a_page_for_people(person.sign_in(page), 503, UNAVAILABLE, language)
    is_a_page_for_people(person.open(Request("app").path), 503, UNAVAILABLE, language)


def test_without_journal_neither_codes_nor_tokens_are_issued(
    start_service: StartService,
    own_redis: Any,
    declaration: Path,
    visit: Callable[[Service], Person],
    language: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the audit event cannot be written, the page issues no code, and the endpoint no token."""
    service = start_service(redis_url=own_redis[0], config=declaration)
    person = visit(service)
    request = Request("app")
    code = person.grant(request)["code"]
    page = person.open(Request("app", {"prompt": "consent"}).path)
    fill_the_disk(monkeypatch)
    is_a_page_for_people(person.allow(page), 503, UNAVAILABLE, language)
    answer = redeem(service.http, request, code)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json().keys() == {"error", "error_description"}


def test_a_sign_out_that_cannot_be_recorded_keeps_the_session(
    start_service: StartService,
    own_redis: Any,
    declaration: Path,
    visit: Callable[[Service], Person],
    language: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the next attempt would find no session, and the sign-out would never be recorded."""
    service = start_service(redis_url=own_redis[0], config=declaration)
    person = visit(service)
    request = Request("app", {"scope": "openid mcp.access"})
    hint = redeem(service.http, request, person.grant(request)["code"]).json()["id_token"]
    fill_the_disk(monkeypatch)
    for _ in range(2):
        refused = person.http.get("/oauth2/logout", params={"id_token_hint": hint})
        is_a_page_for_people(refused, 503, UNAVAILABLE, language)


def test_an_unexpected_exception_is_a_page_with_a_reference(
    start_service: StartService, own_redis: Any, declaration: Path, visit: Callable[[Service], Person], language: str
) -> None:
    url, stored = own_redis
    service = start_service(redis_url=url, config=declaration)
    person = visit(service)
    page = person.open(Request("app").path)
    (key,) = stored.scan_iter("auth:interaction:*")
    stored.set(key, "what no version ever wrote")
    is_a_page_for_people(person.sign_in(page), 500, FAILED, language)
