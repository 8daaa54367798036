"""The audit page: access, content, filters, downloads, and the audit events of its use."""

import asyncio
import csv
import io
import json
import re
import time
from datetime import datetime
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import httpx2
import pytest
from redis.asyncio import Redis

from local_stack.stack import start_stack
from mcp_resource_service.audit_page import open_sessions
from mcp_resource_service.audit_page.sessions import AuditorSession, SignedInUser
from mcp_resource_service.audit_page.sign_in_pages import SIGN_INS_PER_MINUTE

AUDITOR = "u_auditor"


@pytest.fixture(scope="session")
def auditor_of():
    """Creates the session of a signed-in auditor in the Redis of a stack; returns the value of its cookie."""

    async def begin(stack):
        password, key = stack.redis_password("mcp"), (stack.secrets / "mcp" / "cookie_key").read_bytes().strip()
        async with Redis.from_url(stack.redis_url("mcp"), password=password, decode_responses=True) as redis:
            auditor = SignedInUser(issuer=stack.issuer, subject=AUDITOR, expires_at_seconds=time.time() + 600)
            return await open_sessions(redis, key).begin(AuditorSession(auditor), lifetime_seconds=600)

    return lambda stack: asyncio.run(begin(stack))


@pytest.fixture
def session(stack, auditor_of):
    return auditor_of(stack)


@pytest.fixture(scope="module")
def page_in_seoul(tmp_path_factory, auditor_of):
    """The page of a separate stack. Its only refused requests are those of the tests that use it."""
    settings = {"SECURITY_TIME_ZONE": "Asia/Seoul", "MCP_TRUSTED_PROXIES": "127.0.0.0/8"}
    with start_stack(tmp_path_factory.mktemp("seoul"), overrides=settings) as running:
        cookies = {"mcp_audit": auditor_of(running)}
        with httpx2.Client(base_url=running.mcp_url, cookies=cookies, timeout=20) as http:
            yield http


@pytest.fixture
def page(stack, session):
    with httpx2.Client(base_url=stack.mcp_url, cookies={"mcp_audit": session}, timeout=20) as http:
        yield http


@pytest.fixture
def unauthenticated(stack):
    with httpx2.Client(base_url=stack.mcp_url, timeout=20) as http:
        yield http


def page_events(page, action):
    """Returns the audit events of one action of the auditor, oldest first; waits until there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rows = csv_rows(page, f"/audit/export?period=1h&event_type=audit_page&user_id={AUDITOR}")
        if found := [row for row in rows if row["action_taken"] == action]:
            return found
    raise AssertionError(f"{action} is not in the audit trail")


def newest_event_link(page, path):
    """Returns the link of the newest event in the table, or None."""
    link = re.search(r'href="(/audit/events/[^"]+)"', page.get(path).text)
    return link.group(1).replace("&amp;", "&") if link else None


def first_event_link(page, path, *, newer_than=None):
    """Returns the link of the newest event in the table; waits until there is one that is not `newer_than`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        link = newest_event_link(page, path)
        if link not in {None, newer_than}:
            return link
    raise AssertionError(f"{path} shows no new event")


def csv_rows(page, path):
    origin = str(page.base_url).rstrip("/")
    response = page.post(path, data={"reason": "monthly review", "format": "csv"}, headers={"Origin": origin})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff"))))


def test_without_a_session_the_page_redirects_to_sign_in_with_pkce_and_the_audit_scope(unauthenticated, stack):
    assert unauthenticated.get("/audit").headers["location"].startswith("/audit/sign-in")
    redirect = unauthenticated.get("/audit/sign-in?language=ko")
    assert redirect.status_code == 302
    target = urlsplit(redirect.headers["location"])
    assert f"{target.scheme}://{target.netloc}" == stack.issuer
    parameters = {name: values[0] for name, values in parse_qs(target.query).items()}
    assert parameters["client_id"] == "audit-page"
    assert parameters["redirect_uri"] == f"{stack.mcp_url}/audit/callback"
    assert (parameters["code_challenge_method"], parameters["resource"]) == ("S256", f"{stack.mcp_url}/mcp")
    assert set(parameters["scope"].split()) == {"openid", "mcp.access", "mcp.audit"}
    assert parameters["nonce"]
    assert parameters["state"]
    cookie = redirect.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    "query", ["code=x&state=forged", "error=access_denied&state=any", "code=x&state=any&iss=http://evil.example", ""]
)
def test_a_callback_without_a_pending_sign_in_is_refused(unauthenticated, query):
    unauthenticated.get("/audit/sign-in")
    response = unauthenticated.get(f"/audit/callback?{query}", headers={"Accept-Language": "ko"})
    assert response.status_code == 403
    assert "로그인하지 못했습니다" in response.text
    assert 'href="/audit/sign-in' in response.text
    assert unauthenticated.get("/audit").status_code == 303


@pytest.mark.parametrize(
    ("path", "status", "link_url", "link_text"),
    [
        ("/audit/events/1-1", 404, "/audit?language=ko", "목록으로"),
        ("/audit/callback?state=x", 403, "/audit/sign-in?language=ko", "로그인"),
    ],
)
def test_an_error_page_has_a_text_and_a_link_in_the_language_of_the_browser(page, path, status, link_url, link_text):
    cookies = None if "callback" in path else page.cookies  # with a session, a callback redirects to the page
    with httpx2.Client(base_url=page.base_url, cookies=cookies, timeout=20) as reader:
        response = reader.get(
            path, params={"language": "ko"} if "?" not in path else None, headers={"Accept-Language": "ko"}
        )
    assert response.status_code == status
    (link,) = re.findall(r'<a class="button" href="([^"]+)">([^<]+)</a>', response.text)
    assert (link[0].replace("&amp;", "&").partition("&period")[0], link[1]) == (link_url, link_text)
    assert not re.search("[a-z]{3,}", re.sub("<[^>]+>", "", response.text.partition("<main>")[2]))


def test_a_bearer_token_does_not_open_the_page(api):
    assert api.get("/audit", api.token).status_code == 303


@pytest.mark.parametrize(("language", "word"), [("ko", "감사 기록"), ("en", "Audit trail")])
def test_the_overview_shows_charts_table_and_state_in_both_languages(page, api, language, word):
    api.call("get_user_info", {"person_id": "p_hong"})
    path = "/audit?tool_name=get_user_info"
    first_event_link(page, path)
    html = page.get(path, headers={"Accept-Language": f"{language}-KR,fr;q=0.5"}).text
    assert f'<html lang="{language}">' in html
    assert word in html
    assert html.count("<figure") == 4
    assert "get_user_info" in html
    assert '<rect class="tone-0"' in html
    assert "mcp-resource-service</td>" in html
    assert "auth-service</td>" in html


def test_the_page_has_no_scripts_and_cannot_be_embedded(page):
    response = page.get("/audit")
    assert "<script" not in response.text
    assert " style=" not in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert response.headers["cache-control"] == "no-store"
    assert (
        response.headers["referrer-policy"] == "same-origin"
    )  # with no-referrer its own forms would have the origin `null`


def test_filters_select_events_and_links_keep_the_filters(page, api):
    api.call("get_user_info", {"person_id": "p_hong"})
    api.call("get_server_status", {})
    first_event_link(page, "/audit?tool_name=get_server_status&period=1h")
    html = page.get("/audit?tool_name=get_user_info&period=1h&outcome=nonsense").text
    table = html.split('class="events"')[1].split("</tbody>")[0]
    assert "get_user_info" in table
    assert "get_server_status" not in table
    assert '<option value="tool_call">tool call</option>' in html
    filtered = page.get("/audit?event_type=tool_call&period=1h&language=ko").text
    assert '<option value="tool_call" selected>도구 호출</option>' in filtered
    assert "<option selected>of_old</option>" in page.get("/audit?event_type=of_old").text
    assert "tool_name=get_user_info&amp;" in html or "tool_name=get_user_info" in html


def test_filter_values_are_escaped(page, unauthenticated):
    html = page.get("/audit?client_id=%3Cscript%3Ealert(1)%3C/script%3E&tool_name=%22%3E%3Cvideo%3E").text
    assert "<script" not in html
    assert "<video" not in html


def test_the_page_of_an_event_shows_all_members(page, api):
    path = "/audit?tool_name=get_user_info"
    earlier = newest_event_link(page, path)  # of another test; the new event is shipped after the response
    api.call("get_user_info", {"person_id": "p_hong"})
    detail = page.get(first_event_link(page, path, newer_than=earlier)).text
    for name in ("seq", "prev", "hash", "journal_id", "subject_reference", "source_address"):
        assert f'<dt title="{name}">' in detail
    assert '<span title="EMAIL">e-mail address</span> 1' in detail
    assert '<dd>tool call <code class="quiet">tool_call</code></dd>' in detail
    assert "p_hong" not in detail
    for cursor in ("1-1", "x", "0-0", "1-1-1", f"{10**19}-1", "9" * 500):
        assert page.get(f"/audit/events/{cursor}").status_code == 404
        assert page.get(f"/audit?after={cursor}").status_code == (200 if cursor == "1-1" else 404)


@pytest.mark.parametrize(("language", "label"), [("ko", "읽을 수 없는 토큰"), ("en", "malformed token")])
def test_reasons_have_a_label_and_their_code(page_in_seoul, language, label):
    page_in_seoul.get("/hello", headers={"Authorization": "Bearer rubbish"})
    path = f"/audit?language={language}&event_type=access_refused&outcome=refused&period=1h"
    link = first_event_link(page_in_seoul, path)
    listed = page_in_seoul.get(path).text
    assert f'<span title="malformed">{label}</span></td>' in listed
    assert f"<title>{label}: " in listed
    assert f'<span title="malformed">{label}</span> <b>' in listed
    assert f'{label} <code class="quiet">malformed</code>' in page_in_seoul.get(link).text


def test_times_are_in_the_configured_time_zone(page_in_seoul):
    page_in_seoul.get("/hello", headers={"Authorization": "Bearer rubbish"})
    path = "/audit?language=en&event_type=access_refused"
    link = first_event_link(page_in_seoul, path)
    listed, detail = page_in_seoul.get(path).text, page_in_seoul.get(link).text
    shown_time = re.search(rf'href="{re.escape(link.replace("&", "&amp;"))}">([^<]+)</a>', listed).group(1)
    microseconds = int(link.removeprefix("/audit/events/").partition("-")[0])
    expected = datetime.fromtimestamp(microseconds / 1_000_000, ZoneInfo("Asia/Seoul"))
    shown = datetime.strptime(f"{expected:%Y}-{shown_time}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo("Asia/Seoul"))
    assert abs((expected - shown).total_seconds()) < 60
    assert "Time (Asia/Seoul)" in listed
    assert f"{shown:%Y-%m-%d %H:%M:%S}" in detail
    assert "+09:00</code>" in detail
    assert "Times are in the zone Asia/Seoul." in detail


def test_a_download_requires_a_reason_which_is_recorded(page):
    origin = str(page.base_url).rstrip("/")
    bare = page.post("/audit/export", data={"format": "csv"}, headers={"Origin": origin})
    assert bare.status_code == 400
    rows = csv_rows(page, "/audit/export?period=1h")
    assert {"timestamp", "tool_name", "user_id", "hash"} <= set(rows[0])
    exported = page_events(page, "exported_csv")[-1]
    assert exported["reason"] == "monthly review"
    assert (exported["user_id"], exported["task"]) == (AUDITOR, "download")


def test_personal_data_in_a_reason_is_masked(page):
    origin = str(page.base_url).rstrip("/")
    form = {"reason": "asked by hong@example.com", "format": "jsonl"}
    response = page.post("/audit/export?period=1h", data=form, headers={"Origin": origin})
    assert response.headers["content-type"] == "application/jsonl"
    assert all(json.loads(line)["event_id"] for line in response.text.splitlines())
    assert page_events(page, "exported_jsonl")[-1]["reason"] == "asked by h***@example.com"


def test_a_form_that_cannot_be_parsed_is_answered_with_a_page(page):
    headers = {"Origin": str(page.base_url).rstrip("/"), "Accept-Language": "en"}
    response = page.post("/audit/export", data={f"field{index}": "x" for index in range(2_000)}, headers=headers)
    assert response.status_code == 400
    assert "The form cannot be read." in response.text
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("path", ["/audit/export", "/audit/sign-out"])
def test_a_form_of_another_site_is_refused(page, headers, path):
    response = page.post(path, data={"reason": "x", "format": "csv"}, headers=headers)
    assert response.status_code == 403
    assert page.get("/audit").status_code == 200


def test_sign_out_ends_the_session_on_the_server(page, session, stack):
    origin = str(page.base_url).rstrip("/")
    assert "signed out" in page.post("/audit/sign-out", headers={"Origin": origin}).text
    with httpx2.Client(base_url=stack.mcp_url, cookies={"mcp_audit": session}) as again:
        assert again.get("/audit").status_code == 303


def test_behind_a_declared_proxy_the_event_has_the_address_of_the_auditor(page_in_seoul):
    page_in_seoul.get("/audit?period=7d", headers={"X-Forwarded-For": "203.0.113.7"})
    deadline = time.monotonic() + 60
    while page_events(page_in_seoul, "listed")[-1]["source_address"] != "203.0.113.7":
        assert time.monotonic() < deadline


def test_viewing_the_trail_is_recorded(page):
    page.get("/audit?period=7d")
    assert page_events(page, "listed")[-1]["task"] == "view"


def test_sign_ins_of_one_address_are_limited(page_in_seoul):
    """Twice the limit plus one: one of the two minutes has too many, wherever the minute changes."""

    def begin(address):
        headers = {"X-Forwarded-For": address, "Accept-Language": "ko"}
        return httpx2.get(page_in_seoul.base_url.join("/audit/sign-in"), headers=headers)

    responses = [begin("203.0.113.8") for _ in range(2 * SIGN_INS_PER_MINUTE + 1)]
    refused = [response for response in responses if response.status_code == 429]
    assert {response.status_code for response in responses} == {302, 429}
    assert "1분 뒤에 다시 로그인하세요." in refused[0].text
    assert begin("203.0.113.9").status_code == 302


def test_a_bar_of_a_chart_leads_to_its_events_with_addresses_and_their_number(page_in_seoul):
    page_in_seoul.get("/hello", headers={"Authorization": "Bearer rubbish", "X-Forwarded-For": "203.0.113.50"})
    path = "/audit?language=en&event_type=access_refused&period=1h"
    deadline = time.monotonic() + 60
    while "203.0.113.50</td>" not in page_in_seoul.get(path).text:  # shipped after the response
        assert time.monotonic() < deadline
    bars = re.findall(r'<a href="([^"]+)#events" tabindex="-1">', page_in_seoul.get(path).text)
    rows = page_in_seoul.get(f"/audit{bars[-1].replace('&amp;', '&')}").text
    assert "203.0.113.50</td>" in rows
    assert re.search(r"1–[0-9,]+ of [0-9,]+</span>", rows)


def test_without_events_the_page_says_what_to_do(page):
    shown = page.get("/audit?language=ko&tool_name=none").text
    assert "기간을 늘리거나 조건을 지워 보세요." in shown
    assert 'href="?language=ko&amp;period=30d&amp;tool_name=none"' in shown


def test_the_review_of_access_records_of_a_month_is_a_page(page, api):
    api.call("get_user_info", {"person_id": "p_hong"})
    csv_rows(page, "/audit/export?period=1h")
    month = page_events(page, "exported_csv")[-1]["timestamp"][:7]
    sheet = page.get(f"/audit/review?language=ko&period={month}").text
    assert f"개인정보 접속기록 점검표 ({month})" in sheet
    assert f'<option value="{month}" selected>' in sheet
    assert f'<td class="id" data-label="사용자">{AUDITOR}</td>' in sheet
    assert ">monthly review</td>" in sheet
    assert page_events(page, "listed")[-1]["task"] == "view"
    assert page.get("/audit/review?period=nonsense&language=en").status_code == 200


def test_the_review_needs_a_signed_in_auditor(unauthenticated):
    assert unauthenticated.get("/audit/review").headers["location"].startswith("/audit/sign-in")
