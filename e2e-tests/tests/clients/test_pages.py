"""The pages as people meet them, in Chromium: both languages, light and dark, a phone, the keyboard, and axe-core.

`SCREENSHOTS=docs/screenshots` writes the pictures that the documentation shows.
"""

import base64
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from local_stack.story import World

pytestmark = pytest.mark.clients

AXE = Path(__file__).resolve().parents[2] / "clients/node_modules/axe-core/axe.min.js"
SIZES = {"desktop": {"width": 1000, "height": 820}, "phone": {"width": 360, "height": 740}}
LOOKS = [("ko", "light", "desktop"), ("en", "dark", "desktop"), ("ko", "dark", "phone"), ("en", "light", "phone")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def client_id(world: World) -> str:
    """An editor that registers itself, as MCP clients do."""
    metadata = {
        "client_name": "Example Editor",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "application_type": "native",
    }
    answer = httpx2.post(f"{world.auth_url}/oauth2/register", json=metadata)
    assert answer.status_code == 201, answer.text
    return answer.json()["client_id"]


@pytest.fixture
def callback() -> Iterator[str]:
    """Where the editor listens: a port that was free."""

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


def authorize_url(world: World, client_id: str, verifier: str = "v" * 43, **changes: str) -> str:
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
    return f"{world.auth_url}/oauth2/authorize?{urlencode(parameters)}"


def judge(page: Page, name: str) -> None:
    """No violation of WCAG 2.2 AA that axe-core can see, nothing wider than the screen; a picture when asked for."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} scrolls sideways"
    result: dict[str, Any] = page.evaluate(
        f"""async () => {{ {AXE.read_text()}; return await axe.run({{ runOnly: {{ type: 'tag',
            values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }} }}) }}"""
    )
    found = [(each["id"], [node["target"] for node in each["nodes"]]) for each in result["violations"]]
    assert not found, (name, found)
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png", full_page=True)


def press(page: Page, selector: str) -> None:
    """Submits the form and is there when the next page is."""
    with page.expect_navigation():
        page.click(selector)


@pytest.mark.parametrize(("language", "scheme", "size"), LOOKS)
def test_every_page_can_be_read_by_everyone(
    chromium: Browser, world: World, client_id: str, language: str, scheme: str, size: str
) -> None:
    context = chromium.new_context(locale=language, color_scheme=scheme, viewport=SIZES[size])  # type: ignore[arg-type]
    page = context.new_page()
    look = f"{language}-{scheme}-{size}"
    page.goto(authorize_url(world, client_id))
    judge(page, f"sign-in-{look}")
    page.fill("#username", "demo")
    page.fill("#password", "not the password")
    press(page, "button[value=sign_in]")
    judge(page, f"sign-in-wrong-{look}")
    page.fill("#password", "demo")
    press(page, "button[value=sign_in]")
    judge(page, f"consent-{look}")
    page.goto(f"{world.auth_url}/oauth2/logout")
    judge(page, f"sign-out-{look}")
    press(page, "button")
    judge(page, f"signed-out-{look}")
    page.goto(authorize_url(world, client_id, redirect_uri="https://evil.example/"))
    page.click("summary")
    judge(page, f"error-{look}")
    context.close()


def test_the_keyboard_is_enough(chromium: Browser, world: World, client_id: str, callback: str) -> None:
    """From the link to the code without a mouse; the policy lets the browser go to the client's port."""
    context = chromium.new_context()
    page = context.new_page()
    verifier = secrets.token_urlsafe(48)
    page.goto(authorize_url(world, client_id, verifier, redirect_uri=callback))
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
    assert query["iss"] == [world.auth_url]
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": query["code"][0],
        "redirect_uri": callback,
        "code_verifier": verifier,
    }
    answer = httpx2.post(f"{world.auth_url}/oauth2/token", data=form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "openid profile offline_access mcp.access mcp.decrypt"
    context.close()


def test_a_form_that_another_site_posts_has_the_session(
    chromium: Browser, world: World, client_id: str, callback: str
) -> None:
    """127.0.0.1 is another site than localhost: with the form itself Chromium sends no cookie."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(authorize_url(world, client_id, redirect_uri=callback))
    page.fill("#username", "demo")
    page.fill("#password", "demo")
    press(page, "button[value=sign_in]")
    press(page, "button[value=allow]")
    silent = authorize_url(world, client_id, redirect_uri=callback, prompt="none", state="posted")
    submit_form(page, f"{world.auth_url}/oauth2/authorize", dict(parse_qsl(urlsplit(silent).query)))
    answer = parse_qs(urlsplit(page.url).query)
    assert (answer["state"], "code" in answer) == (["posted"], True)
    submit_form(page, f"{world.auth_url}/oauth2/logout", {"client_id": client_id})
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
