"""The audit page in Chromium: an auditor signs in through auth-service, in both languages.

`SCREENSHOTS=docs/screenshots` writes the pictures of the documentation.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from local_stack.demo_scenario import ServicesApi
from local_stack.every_tool import every_call

pytestmark = pytest.mark.clients

TITLES = {"ko": "감사 기록", "en": "Audit trail"}
REFUSED = {"ko": "읽을 수 없는 토큰", "en": "malformed token"}
SIGNED_OUT = {"ko": "로그아웃되었습니다.", "en": "You are signed out."}


@pytest.fixture(scope="module")
def busy_api(api: ServicesApi) -> ServicesApi:
    """The services after some calls, one of which was refused."""
    stored = api.call("store_sensitive_data", {"data": "홍길동님 hong@example.com"})
    for tool, arguments in every_call(stored["record_id"]):
        api.call(tool, arguments, scope="mcp.access mcp.decrypt")
    for _ in range(3):
        api.call("get_user_info", {"person_id": "p_hong"})
        refused = {"name": "high_security_operation", "arguments": {"operation_data": "call 010-1234-5678"}}
        api.post_mcp(api.token, "2026-07-28", "tools/call", refused)
        api.get("/hello", "not-a-token")
    return api


@pytest.fixture(scope="module")
def browser(busy_api: ServicesApi) -> Iterator[Browser]:
    # Started after the calls: Playwright runs an event loop, and no other loop can run in this thread.
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


def sign_in(page: Page, api: ServicesApi, language: str) -> None:
    """Signs in from the audit page through auth-service."""
    page.goto(f"{api.mcp_url}/audit?language={language}")
    expect(page).to_have_url(re.compile(re.escape(api.auth_url)))
    page.locator("input[type=password]").fill("demo")
    page.locator("input[type=text], input:not([type])").first.fill("demo")
    page.locator("button[value=sign_in]").click()
    if api.auth_url in page.url:
        page.locator("button").first.click()
    expect(page).to_have_url(re.compile(re.escape(f"{api.mcp_url}/audit")))


@pytest.mark.parametrize(("language", "scheme"), [("ko", "light"), ("en", "dark")])
def test_an_auditor_signs_in_filters_events_and_opens_one(
    browser: Browser, busy_api: ServicesApi, language: str, scheme: str
) -> None:
    context = browser.new_context(locale=f"{language}-KR", color_scheme=scheme, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    sign_in(page, busy_api, language)
    page.goto(f"{busy_api.mcp_url}/audit?language={language}&period=1h")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLES[language])
    expect(page.locator("figure > svg")).to_have_count(4)
    picture(page, f"audit-page-{language}")

    page.goto(f"{busy_api.mcp_url}/audit?language={language}&period=1h&outcome=refused")
    expect(page.locator(".events tbody")).to_contain_text(REFUSED[language])
    picture(page, f"audit-refusals-{language}")
    page.locator(".events tbody tr", has_text="high_security_operation").first.locator("a").first.click()
    expect(page.locator("dl")).to_contain_text("personal_data_refused")
    picture(page, f"audit-event-{language}")
    page.get_by_role("heading", level=1).get_by_role("link").click()

    page.get_by_role("link", name="get_user_info").first.click()
    expect(page.locator(".events tbody")).not_to_contain_text("store_sensitive_data")
    page.locator("tbody a[href^='/audit/events/']").first.click()
    expect(page.locator("dl")).to_contain_text("get_user_info")
    page.go_back()

    page.locator("input[name=reason]").fill("monthly review")
    with page.expect_download() as download:
        page.locator("button[value=csv]").click()
    assert download.value.path().read_text(encoding="utf-8-sig").startswith("timestamp,")

    page.locator("nav form button").click()
    expect(page.locator("main")).to_contain_text(SIGNED_OUT[language])
    expect(page).to_have_url(f"{busy_api.mcp_url}/audit/signed-out?language={language}")
    page.goto(f"{busy_api.mcp_url}/audit")
    expect(page.locator("input[type=password]")).to_be_visible()
    assert complaints == []
    context.close()


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
