"""The pages in Chromium: both languages, light and dark, phone and desktop, keyboard use, and axe-core.

`SCREENSHOTS=docs/screenshots` writes the pictures that the documentation shows.
"""

import base64
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
import yaml
from playwright.sync_api import Browser, Page, Route, sync_playwright
from starlette.requests import Request

from auth_service.errors import OAuthError, ServerError, TemporarilyUnavailable, TooManyRequests
from auth_service.web import error_pages
from auth_service.web.pages import Pages
from local_stack.demo_scenario import ServicesApi

pytestmark = pytest.mark.clients

AXE = Path(__file__).resolve().parents[2] / "clients/node_modules/axe-core/axe.min.js"
SIZES = {"desktop": {"width": 1000, "height": 820}, "phone": {"width": 360, "height": 740}}
TEXTS = yaml.safe_load(files("auth_service.web").joinpath("texts.yaml").read_text("utf-8"))
LOOKS = [("ko", "light", "desktop"), ("en", "dark", "desktop"), ("ko", "dark", "phone"), ("en", "light", "phone")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def client_id(api: ServicesApi) -> str:
    """The id of an editor that registers itself, as MCP clients do."""
    metadata = {
        "client_name": "Example Editor",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "application_type": "native",
    }
    answer = httpx2.post(f"{api.auth_url}/oauth2/register", json=metadata)
    assert answer.status_code == 201, answer.text
    return answer.json()["client_id"]


@pytest.fixture
def callback() -> Iterator[str]:
    """The redirect URI of the editor, on a free port."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/callback"
        server.shutdown()


def authorize_url(api: ServicesApi, client_id: str, verifier: str = "v" * 43, **changes: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "client_id": client_id,
        "redirect_uri": "http://127.0.0.1:33418/callback",
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "scope": "openid profile offline_access mcp.access mcp.decrypt",
        "state": "x",
        "prompt": "consent",
        **changes,
    }
    return f"{api.auth_url}/oauth2/authorize?{urlencode(parameters)}"


def check_accessibility(page: Page, name: str, *, picture: bool = True) -> None:
    """axe-core reports no violation of WCAG 2.2 AA, and no page is wider than the screen or 320 pixels (1.4.10
    Reflow); a picture when asked for.
    """
    for width in (320, page.viewport_size["width"]):  # type: ignore[index]
        page.set_viewport_size({"width": width, "height": page.viewport_size["height"]})  # type: ignore[index]
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} scrolls sideways"
        assert page.locator("button").evaluate_all("all => all.every(each => each.clientHeight < 60)"), "a button wraps"
    result: dict[str, Any] = page.evaluate(
        f"""async () => {{ {AXE.read_text()}; return await axe.run({{ runOnly: {{ type: 'tag',
            values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }} }}) }}"""
    )
    found = [(each["id"], [node["target"] for node in each["nodes"]]) for each in result["violations"]]
    assert not found, (name, found)
    if picture and "SCREENSHOTS" in os.environ:
        page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png", full_page=True)


def press(page: Page, selector: str) -> None:
    """Submits the form and waits for the next page."""
    with page.expect_navigation():
        page.click(selector)


@pytest.mark.parametrize(("language", "scheme", "size"), LOOKS)
def test_every_page_is_accessible(
    chromium: Browser, api: ServicesApi, client_id: str, language: str, scheme: str, size: str
) -> None:
    context = chromium.new_context(locale=language, color_scheme=scheme, viewport=SIZES[size])  # type: ignore[arg-type]
    page = context.new_page()
    look = f"{language}-{scheme}-{size}"
    page.goto(authorize_url(api, client_id))
    check_accessibility(page, f"sign-in-{look}")
    page.fill("#username", "demo")
    page.fill("#password", "not the password")
    press(page, "button[value=sign_in]")
    check_accessibility(page, f"sign-in-wrong-{look}")
    page.fill("#password", "demo")
    press(page, "button[value=sign_in]")
    check_accessibility(page, f"consent-{look}")
    page.goto(f"{api.auth_url}/account")
    check_accessibility(page, f"account-{look}")
    page.goto(f"{api.auth_url}/oauth2/logout")
    check_accessibility(page, f"sign-out-{look}")
    press(page, "button")
    check_accessibility(page, f"signed-out-{look}")
    page.goto(authorize_url(api, client_id, redirect_uri="https://evil.example/"))
    page.click("summary")
    check_accessibility(page, f"error-{look}")
    context.close()


# Functions that lead to an error page; parameters: page, services, client id and its redirect URI.
Visit = Callable[[Page, ServicesApi, str, str], object]


def open_a_link_of_another_browser(page: Page, api: ServicesApi, client_id: str, _callback: str) -> None:
    answer = httpx2.get(authorize_url(api, client_id))
    page.goto(f"{api.auth_url}{answer.headers['location']}")


def return_after_the_response(page: Page, api: ServicesApi, client_id: str, callback: str) -> None:
    page.goto(authorize_url(api, client_id, redirect_uri=callback))
    address = page.url
    press(page, "button[value=cancel]")
    page.goto(address)


def request_an_invalid_scope_as_an_unknown_site(page: Page, api: ServicesApi, _client_id: str, _callback: str) -> None:
    site = "https://a-site-with-a-rather-long-name.of-somebody-nobody-knows.example/callback"
    metadata = {"client_name": "Site", "redirect_uris": [site], "token_endpoint_auth_method": "none"}
    registered = httpx2.post(f"{api.auth_url}/oauth2/register", json=metadata).json()["client_id"]
    page.goto(authorize_url(api, registered, redirect_uri=site, scope="unknown"))


def send_an_expired_form(page: Page, api: ServicesApi, client_id: str, _callback: str) -> None:
    page.goto(authorize_url(api, client_id))
    page.evaluate("document.querySelector('[name=csrf_token]').value = 'of before'")
    press(page, "button[value=cancel]")


def guess_passwords(page: Page, api: ServicesApi, client_id: str) -> None:
    """Uses a username that does not exist, so that no real account is throttled afterwards."""
    page.goto(authorize_url(api, client_id))
    for _ in range(8):  # of fifty attempts per address; each further one doubles the delay
        if page.locator("#problem").count() and is_asked_to_wait(page):
            return
        page.fill("#username", f"nobody {page.viewport_size}")
        page.fill("#password", "guess")
        press(page, "button[value=sign_in]")


def is_asked_to_wait(page: Page) -> bool:
    return page.inner_text("#problem") not in TEXTS["sign_in.wrong"].values()


ERROR_VISITS: dict[str, Visit] = {
    "client_unknown": lambda page, api, *_: page.goto(authorize_url(api, "nobody")),
    "request_wrong": lambda page, api, *_: page.goto(f"{api.auth_url}/oauth2/authorize?state=%zz"),
    "request_expired": lambda page, api, *_: page.goto(f"{api.auth_url}/oauth2/sign-in?request=gone"),
    "logout_refused": lambda page, api, *_: page.goto(
        f"{api.auth_url}/oauth2/logout?post_logout_redirect_uri=https://evil.example/"
    ),
    "other_browser": open_a_link_of_another_browser,
    "response_held": request_an_invalid_scope_as_an_unknown_site,
    "request_finished": return_after_the_response,
    "form_invalid": send_an_expired_form,
}


@pytest.mark.parametrize(("language", "scheme", "size"), LOOKS)
def test_every_error_page_is_accessible(
    chromium: Browser, api: ServicesApi, client_id: str, callback: str, language: str, scheme: str, size: str
) -> None:
    context = chromium.new_context(locale=language, color_scheme=scheme, viewport=SIZES[size])  # type: ignore[arg-type]
    page = context.new_page()
    for name, visit in ERROR_VISITS.items():
        visit(page, api, client_id, callback)
        assert page.inner_text("h1") == TEXTS[f"error.{name}.title"][language]
        page.click("summary")
        check_accessibility(page, name, picture=False)
    # Errors that cannot be caused here are served by a route: the page as the service renders it.
    for error in (TooManyRequests("x"), TemporarilyUnavailable("x"), ServerError("x")):
        written = render_error_page(api.auth_url, error, language)
        page.route("**/oauth2/authorize", answer_with(written))
        page.goto(f"{api.auth_url}/oauth2/authorize")
        page.click("summary")
        check_accessibility(page, error.error, picture=False)
        page.unroute("**/oauth2/authorize")
    guess_passwords(page, api, client_id)
    assert is_asked_to_wait(page)
    check_accessibility(page, "sign-in-wait", picture=False)
    context.close()


def answer_with(body: bytes) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=body, content_type="text/html")


def render_error_page(issuer: str, error: OAuthError, language: str) -> bytes:
    headers = [(b"accept-language", language.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    page = error_pages.render_error_page(Pages(issuer=issuer), error, Request(scope), trace_id="0" * 32)
    return bytes(page.body)


@pytest.mark.parametrize("who", ["desktop", "document_url"])
@pytest.mark.parametrize(("language", "scheme", "size"), LOOKS)
def test_the_consent_page_of_verified_clients(
    services: Any, person: Any, who: str, language: str, scheme: str, size: str
) -> None:
    redirect_uri = "http://127.0.0.1:33418/callback" if who == "desktop" else "http://localhost:33418/callback"
    address = authorize_url(services, getattr(services, who), redirect_uri=redirect_uri, ui_locales=language)

    def look() -> None:
        page = person.context.new_page()
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        page.goto(address)
        page.fill("#username", services.account[0])
        page.fill("#password", services.account[1])
        press(page, "button[value=sign_in]")
        said = TEXTS["consent.declared_by_operator" if who == "desktop" else "consent.from_host"][language]
        assert said.format(host="editor.example") in page.inner_text("main")
        check_accessibility(page, f"consent-{who}-{language}", picture=False)
        page.close()

    person.chromium.do(look).result()


def test_pages_can_be_used_with_the_keyboard(
    chromium: Browser, api: ServicesApi, client_id: str, callback: str
) -> None:
    """From the link to the code without a mouse; the Content-Security-Policy allows the client's port."""
    context = chromium.new_context()
    page = context.new_page()
    verifier = secrets.token_urlsafe(48)
    page.goto(authorize_url(api, client_id, verifier, redirect_uri=callback))
    page.locator("input[name=username]:focus").wait_for()
    page.keyboard.type("demo")
    page.keyboard.press("Tab")
    page.keyboard.type("demo")
    page.keyboard.press("Enter")
    page.wait_for_url("**/oauth2/consent?*")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "allow"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{callback}?*")
    query = parse_qs(urlsplit(page.url).query)
    assert query["iss"] == [api.auth_url]
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": query["code"][0],
        "redirect_uri": callback,
        "code_verifier": verifier,
    }
    answer = httpx2.post(f"{api.auth_url}/oauth2/token", data=form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "openid profile offline_access mcp.access mcp.decrypt"
    context.close()


def test_a_form_posted_by_another_site_keeps_the_session(
    chromium: Browser, api: ServicesApi, client_id: str, callback: str
) -> None:
    """127.0.0.1 is a different site than localhost, so Chromium sends no cookie with the form itself."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(authorize_url(api, client_id, redirect_uri=callback))
    page.fill("#username", "demo")
    page.fill("#password", "demo")
    press(page, "button[value=sign_in]")
    press(page, "button[value=allow]")
    silent = authorize_url(api, client_id, redirect_uri=callback, prompt="none", state="posted")
    submit_form(page, f"{api.auth_url}/oauth2/authorize", dict(parse_qsl(urlsplit(silent).query)))
    answer = parse_qs(urlsplit(page.url).query)
    assert (answer["state"], "code" in answer) == (["posted"], True)
    submit_form(page, f"{api.auth_url}/oauth2/logout", {"client_id": client_id})
    assert page.locator("form button").count() == 1, "nobody is signed out unasked"
    context.close()


def submit_form(page: Page, action: str, fields: dict[str, str]) -> None:
    with page.expect_navigation():
        page.evaluate(
            """([action, fields]) => {
                const form = document.createElement('form');
                Object.assign(form, { method: 'post', action });
                for (const [name, value] of Object.entries(fields)) {
                    form.append(Object.assign(document.createElement('input'), { name, value }));
                }
                document.body.append(form);
                form.submit();
            }""",
            [action, fields],
        )
