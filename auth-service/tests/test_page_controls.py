"""What pages offer beside their form: another language, a visible password, the operator, and links of the client."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from markupsafe import Markup
from signing_in import Page, Person, Request
from starlette.requests import Request as HttpRequest

from auth_service.authorize.client_documents import client_documents
from auth_service.clients.client import Client, ClientOrigin
from auth_service.settings import AuthSettings
from auth_service.web.language import Language, choose_language, with_language
from auth_service.web.pages import Pages
from security_common.settings import SettingInvalid

CALLBACK = "https://app.example/callback"
POLICY = "https://app.example/privacy"
CLIENT = Client(
    client_id="app",
    name="App",
    origin=ClientOrigin.REGISTERED,
    auth_methods=frozenset(),
    grant_types=frozenset(),
    redirect_uris=(CALLBACK, "https://other.example/callback", "http://127.0.0.1/callback"),
    policy_uri=POLICY,
    tos_uri=None,
)


def request_for(query: str = "", *, method: str = "GET", cookie: str = "", accepts: str = "en") -> HttpRequest:
    headers = [(b"accept-language", accepts.encode()), (b"cookie", cookie.encode())]
    return HttpRequest(
        {"type": "http", "method": method, "path": "/page", "query_string": query.encode(), "headers": headers}
    )


@pytest.mark.parametrize(
    ("query", "cookie", "ui_locales", "accepts", "expected"),
    [
        ("language=ko", "auth_language=en", "en", "en", "ko"),
        ("", "auth_language=ko", "en", "en", "ko"),
        ("", "__Host-auth_language=ko", "en", "en", "ko"),
        ("language=xx", "auth_language=%3Cb%3E", "ko", "en", "ko"),
        ("language=", "", None, "ko-KR,en;q=0.5", "ko"),
        ("", "", None, "fr", "en"),
    ],
)
def test_the_language_is_that_of_the_user_before_that_of_the_client_and_the_browser(
    query: str, cookie: str, ui_locales: str | None, accepts: str, expected: str
) -> None:
    assert choose_language(request_for(query, cookie=cookie, accepts=accepts), ui_locales) == expected


@pytest.mark.parametrize("address", ["/page", "/page?", "/page?language=en", "/page?language=ko&language=en"])
def test_a_link_to_the_other_language_replaces_the_language(address: str) -> None:
    assert with_language(address, Language.KOREAN) == "/page?language=ko"


def test_a_link_to_the_other_language_keeps_the_other_parameters() -> None:
    assert with_language("/page?request=a%26b&empty=", Language.ENGLISH) == "/page?request=a%26b&empty=&language=en"


def test_the_response_to_a_form_has_a_link_only_if_the_page_has_an_address() -> None:
    pages = Pages(issuer="https://auth.example")
    texts = {"page": "failed", "code": "x", "description": "x", "trace_id": "x", "detail": None, "detail_parts": {}}
    steps = {"next_step": None, "other_step": None, "restarts": False, "for_operator": None}
    posted = pages.render("error", Language.ENGLISH, request_for(method="POST"), **texts, **steps)
    assert b"hreflang" not in posted.body
    shown = pages.render("error", Language.ENGLISH, request_for("a=%3Cb%3E"), **texts, **steps)
    assert b'href="/page?a=%3Cb%3E&amp;language=ko" lang="ko" hreflang="ko">' in shown.body
    chosen = pages.render("error", Language.KOREAN, request_for("language=ko"), **texts, **steps)
    assert chosen.headers["set-cookie"].startswith("__Host-auth_language=ko; Max-Age=31536000;")
    assert "set-cookie" not in shown.headers


def test_the_language_switches_on_the_sign_in_page_and_stays(person: Person) -> None:
    page = person.open(Request("app", {"prompt": "consent"}).path)
    korean = person.open(Page(page.text).footer_links["한국어"])
    assert '<html lang="ko">' in korean.text
    wrong = person.sign_in(korean, password="not the password")
    assert (wrong.status_code, '<html lang="ko">' in wrong.text) == (400, True)
    english = person.open(Page(wrong.text).footer_links["English"])
    assert "Allow Example application to connect?" in Page(person.sign_in(english).text).text


def test_the_policy_allows_the_script_of_the_password_and_no_other(person: Person) -> None:
    page = person.open(Request("app", {"prompt": "login"}).path)
    (script,) = re.findall("<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert re.search('<button type="button" id="show-password"[^>]* hidden>', page.text)
    consent = person.sign_in(person.open(Request("app", {"prompt": "login consent"}).path))
    assert "<script" not in consent.text
    assert "script-src" not in consent.headers["content-security-policy"]


def test_scopes_that_are_not_granted_are_named_with_the_reason(person: Person) -> None:
    scope = "mcp.access mcp.decrypt unknown"
    request = Request("other", {"prompt": "consent login", "scope": scope})
    text = Page(person.sign_in(person.open(request.path)).text).text
    assert "Not granted This server does not offer it to the app mcp.decrypt" in text
    assert "unknown" not in text


@pytest.mark.parametrize(
    ("client", "is_shown"),
    [
        (CLIENT, True),
        (replace(CLIENT, policy_uri="http://app.example/privacy"), False),
        (replace(CLIENT, policy_uri="https://well-known.example/privacy"), False),
        (replace(CLIENT, policy_uri="https://other.example/privacy"), False),
        (replace(CLIENT, origin=ClientOrigin.DECLARED, policy_uri="https://well-known.example/privacy"), True),
        (replace(CLIENT, origin=ClientOrigin.METADATA_DOCUMENT, client_id="https://app.example/client"), True),
        (replace(CLIENT, origin=ClientOrigin.METADATA_DOCUMENT, client_id="https://evil.example/client"), False),
    ],
)
def test_a_privacy_policy_is_shown_only_at_the_host_of_the_client(client: Client, *, is_shown: bool) -> None:
    shown = [document["address"] for document in client_documents(client, CALLBACK)]
    assert shown == [client.policy_uri] * is_shown


@pytest.mark.parametrize("redirect_uri", ["http://127.0.0.1/callback", "http://app.example/callback", "app.example:/"])
def test_a_client_cannot_use_the_name_of_a_host_that_does_not_get_the_code(redirect_uri: str) -> None:
    assert client_documents(CLIENT, redirect_uri) == []


@pytest.mark.parametrize(
    ("contact", "address"),
    [("help@example.com", "mailto:help@example.com"), ("https://help.example/auth", "https://help.example/auth")],
)
def test_pages_link_to_the_operator(contact: str, address: str) -> None:
    pages = Pages(issuer="http://localhost:8081", contact=AuthSettings(operator_contact=contact).operator_contact)
    page = pages.render("signed_out", Language.ENGLISH, request_for(), next_step=None, provider=None)
    assert f'<a href="{Markup.escape(address)}">Contact the operator</a>'.encode() in page.body


@pytest.mark.parametrize("contact", ["http://help.example", "javascript:alert(1)", "help", "a@b c", "https://"])
def test_another_kind_of_contact_is_refused_at_the_start(contact: str) -> None:
    with pytest.raises(SettingInvalid, match="must be an email address or an https URL"):
        AuthSettings(operator_contact=contact)
