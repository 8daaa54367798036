"""Without access to metadata documents, clients register instead, and pages and doctor show the cause."""

import asyncio
import time
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from document_host import HOST, DocumentHost, answer, offline_fetcher
from running_auth import Service, StartService
from signing_in import Page

from auth_service.cli import doctor
from auth_service.clients.outgoing_fetches import MetadataReachability, OutgoingFetches
from auth_service.clients.ssrf_safe_fetch import SsrfSafeFetcher, is_public_address
from security_common.service import CheckResult, print_check_results

METADATA = "/.well-known/oauth-authorization-server"


def open_page(service: Service, url: str, language: str = "en") -> httpx2.Response:
    path = f"/oauth2/authorize?client_id={quote(url, safe='')}"
    return service.http.get(path, headers={"accept-language": language})


def is_advertised(service: Service) -> bool:
    return service.http.get(METADATA).json()["client_id_metadata_document_supported"]


def test_an_offline_machine_does_not_advertise_documents_and_clients_register(start_service: StartService) -> None:
    service = start_service()
    answered = service.http.get(METADATA)
    assert answered.json()["client_id_metadata_document_supported"] is False
    assert answered.headers["cache-control"] == "public, max-age=60"
    assert answered.json()["registration_endpoint"] == f"{service.issuer}/oauth2/register"


def test_documents_are_advertised_once_one_was_fetched(start_service: StartService, host: DocumentHost) -> None:
    service = start_service(parts={"fetcher": host.fetcher()})
    tag = service.http.get(METADATA).headers["etag"]
    assert not is_advertised(service)
    url = host.publish("/first.json", {"client_name": "Example", "redirect_uris": ["http://localhost/callback"]})
    open_page(service, url)
    assert is_advertised(service)
    assert service.http.get(METADATA, headers={"if-none-match": tag}).status_code == 200


def test_documents_are_advertised_after_a_published_one_was_fetched(
    start_service: StartService, host: DocumentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.pages["/published.json"] = answer(b"{}")
    urls = (host.url("/nowhere.json"), host.url("/published.json"))
    monkeypatch.setattr("auth_service.clients.outgoing_fetches.KNOWN_DOCUMENTS", urls)
    service = start_service(parts={"fetcher": host.fetcher()})
    deadline = time.monotonic() + 60
    while not is_advertised(service):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("choice", ["open", "listed"])
def test_documents_are_advertised_if_the_operator_enables_them(
    start_service: StartService, tmp_path: Path, choice: str
) -> None:
    (tmp_path / "auth.yaml").write_text(f"registration: {{metadata_documents: {choice}}}")
    assert is_advertised(start_service(config=tmp_path / "auth.yaml"))


def test_documents_that_are_off_are_never_advertised(start_service: StartService, tmp_path: Path) -> None:
    (tmp_path / "auth.yaml").write_text('registration: {metadata_documents: "off"}')
    assert not is_advertised(start_service(config=tmp_path / "auth.yaml"))


CAUSES = {
    "name": ("the host name of the app does not resolve", "호스트 이름에 해당하는 공인 IP 주소"),
    "private": ("the host name of the app does not resolve", "호스트 이름에 해당하는 공인 IP 주소"),
    "connection": ("no connection to the app's host", "앱의 호스트에 연결하지 못했습니다"),
    "tls": ("the secure connection (TLS)", "보안 연결(TLS)"),
    "status": ("but not with the document", "문서를 보내지 않았습니다"),
    "content": ("was not accepted", "받아들일 수 없습니다"),
}


def failing(host: DocumentHost, cause: str) -> tuple[SsrfSafeFetcher, str]:
    """A fetcher, and the URL of a document that it cannot fetch for this cause."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["10.0.0.1"] if cause == "private" else ["127.0.0.1"]

    host.pages["/status.json"] = answer(b"", status="403 Forbidden")
    host.pages["/content.json"] = answer(b"<html>", media_type="text/html")
    fetchers = {
        "name": offline_fetcher(),
        "private": SsrfSafeFetcher(resolve=resolve, is_allowed=is_public_address),
        "tls": SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True),
    }
    url = f"https://{HOST}:1/c.json" if cause == "connection" else host.url(f"/{cause}.json")
    return fetchers.get(cause, host.fetcher()), url


@pytest.mark.parametrize("cause", CAUSES)
def test_the_page_names_the_cause_and_what_the_operator_can_do(
    start_service: StartService, host: DocumentHost, cause: str
) -> None:
    fetcher, url = failing(host, cause)
    service = start_service(parts={"fetcher": fetcher})
    for language, cause_text, advice in (
        ("en", CAUSES[cause][0], "For the operator"),
        ("ko", CAUSES[cause][1], "운영자 안내"),
    ):
        page = open_page(service, url, language)
        text = Page(page.text).text
        assert page.status_code == 400
        assert cause_text in text
        assert advice in text
        assert "add it again" not in text
        assert "다시 추가" not in text


def test_the_page_does_not_reveal_names_of_the_private_network(start_service: StartService, host: DocumentHost) -> None:
    pages = []
    for cause in ("name", "private"):
        service = start_service(parts={"fetcher": failing(host, cause)[0]})
        text = Page(open_page(service, "https://intranet.example/c.json").text).text
        pages.append(text.partition("Reference")[0].replace(service.issuer.removeprefix("http://"), ""))
    assert pages[0] == pages[1]


def test_an_invalid_document_is_reported_as_invalid(start_service: StartService, host: DocumentHost) -> None:
    url = host.publish("/wrong.json", {"client_name": "Example", "redirect_uris": []})
    text = Page(open_page(start_service(parts={"fetcher": host.fetcher()}), url).text).text
    assert "This app cannot be used here" in text
    assert "redirect_uris" in text


def test_the_doctor_warns_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    make = OutgoingFetches.of
    monkeypatch.setattr(OutgoingFetches, "of", lambda hosts, _fetcher: make(hosts, offline_fetcher()))
    found: list[CheckResult] = asyncio.run(doctor.check_documents(service.settings))
    assert len(found) == 3
    print_check_results(found, as_json=False)
    printed = capsys.readouterr().out
    assert printed.count("warn metadata documents: ") == 3
    assert "registration.metadata_documents" in printed


async def _reach(host: DocumentHost) -> bool:
    reach = MetadataReachability(host.fetcher(), [host.url("/nowhere.json")])
    reach.start()
    await asyncio.sleep(0)
    await reach.stop()
    return reach.is_confirmed


def test_the_reachability_task_ends_with_the_service(host: DocumentHost) -> None:
    assert asyncio.run(_reach(host)) is False
