"""Sign-in and sign-out of the audit page through the real auth-service, as in a browser."""

import csv
import io
import re
import resource
import ssl
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import httpx2
import pytest
from starlette.requests import Request

from local_stack.command_server import run_command
from local_stack.forms import Form, sign_in
from local_stack.stack import AUTH, MCP, start_stack
from mcp_resource_service.audit_page import OAuthSignIn
from mcp_resource_service.audit_page.oauth_sign_in import CLIENT_ID
from mcp_resource_service.settings import ResourceSettings
from security_common.tokens import TokenVerifier


def sign_in_as_demo(http: httpx2.Client, page: httpx2.Response, mcp_url: str) -> httpx2.Response:
    return sign_in(http, page, until=mcp_url, username="demo", password="demo")


@pytest.fixture
def http():
    with httpx2.Client(follow_redirects=True, timeout=20) as client:
        yield client


def sign_out(http: httpx2.Client, mcp_url: str) -> httpx2.Response:
    return http.post(f"{mcp_url}/audit/sign-out?language=ko", headers={"Origin": mcp_url})


def test_sign_out_ends_the_session_of_the_issuer_too(http, stack):
    assert "Audit trail" in sign_in_as_demo(http, http.get(f"{stack.mcp_url}/audit"), stack.mcp_url).text
    assert "Audit trail" in http.get(f"{stack.mcp_url}/audit").text
    signed_out = sign_out(http, stack.mcp_url)
    assert str(signed_out.url) == f"{stack.mcp_url}/audit/signed-out?language=ko"
    assert "로그아웃되었습니다." in signed_out.text
    assert str(signed_out.history[-1].url).startswith(f"{stack.issuer}/oauth2/logout?id_token_hint=")
    back = http.get(f"{stack.mcp_url}/audit")
    assert str(back.url).startswith(stack.issuer)
    assert "password" in Form(back.text).values
    assert sign_out(http, stack.mcp_url).status_code == 200


def test_the_filters_are_kept_during_the_sign_in(http, stack):
    wanted = f"{stack.mcp_url}/audit?language=ko&period=7d&outcome=refused"
    assert str(sign_in_as_demo(http, http.get(wanted), stack.mcp_url).url) == wanted


def test_a_user_without_the_auditor_role_can_sign_in_with_another_account(http, stack):
    added = subprocess.run(
        [str(Path(sys.executable).with_name(AUTH)), "user", "add", "clerk", "--password-stdin"],
        env=stack.environment(AUTH),
        input="a clerk's long password",
        text=True,
        capture_output=True,
        check=False,
    )
    assert added.returncode == 0, added.stderr
    page = http.get(f"{stack.mcp_url}/audit?language=ko")
    page = sign_in(http, page, until=stack.mcp_url, username="clerk", password="a clerk's long password")
    assert page.status_code == 403
    assert "감사 담당자만 볼 수 있습니다" in page.text
    other = re.search(r'<a class="button" href="(/audit/sign-in[^"]+)">다른 계정으로 로그인</a>', page.text).group(1)
    again = http.get(stack.mcp_url + unescape(other))
    assert "password" in Form(again.text).values
    assert "감사 기록" in sign_in_as_demo(http, again, stack.mcp_url).text
    (refused,) = audit_page_events(http, stack, "refused")
    assert (refused["outcome"], refused["reason"]) == ("refused", "insufficient_scope")
    assert {refused["client_id"], audit_page_events(http, stack, "signed_in")[-1]["client_id"]} == {"audit-page"}
    assert refused["user_id"].startswith("u_")


def audit_page_events(http, stack, action):
    """Returns the audit events of one action on the audit page; waits until there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        response = http.post(
            f"{stack.mcp_url}/audit/export?event_type=audit_page",
            headers={"Origin": stack.mcp_url},
            data={"reason": "monthly review", "format": "csv"},
        )
        rows = csv.DictReader(io.StringIO(response.text))
        if found := [row for row in rows if row["action_taken"] == action]:
            return found
    raise AssertionError(f"{action} is not in the audit trail")


def test_without_the_issuer_only_the_session_of_the_page_ends(http, own_stack):
    sign_in_as_demo(http, http.get(f"{own_stack.mcp_url}/audit"), own_stack.mcp_url)
    own_stack.kill(AUTH)
    signed_out = sign_out(http, own_stack.mcp_url)
    assert signed_out.status_code == 200
    assert "로그인 서비스에는 세션이 남아 있을 수 있으니" in signed_out.text
    http.follow_redirects = False
    assert http.get(f"{own_stack.mcp_url}/audit").headers["location"].startswith("/audit/sign-in")


def test_a_sign_out_that_cannot_be_recorded_can_be_repeated_and_is_recorded_then(http, own_stack):
    sign_in_as_demo(http, http.get(f"{own_stack.mcp_url}/audit"), own_stack.mcp_url)
    pid = own_stack.children[MCP].pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        refused = sign_out(http, own_stack.mcp_url)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    deadline = time.monotonic() + 60
    while sign_out(http, own_stack.mcp_url).status_code == 503:
        assert time.monotonic() < deadline
    sign_in_as_demo(http, http.get(f"{own_stack.mcp_url}/audit"), own_stack.mcp_url)
    (recorded,) = audit_page_events(http, own_stack, "signed_out")
    assert recorded["outcome"] == "success"


def test_a_session_ends_when_the_auditor_loses_the_right(http, tmp_path):
    with start_stack(tmp_path / "stack", overrides={"AUTH_STATUS_LIST_TTL_SECONDS": "1"}) as stack:
        page = f"{stack.mcp_url}/audit"
        sign_in_as_demo(http, http.get(page), stack.mcp_url)
        stack.kill(AUTH)
        wait_for(http, page, lambda answer: answer.status_code == 503)
        stack.start_one(AUTH)
        stack.wait_until_ready(AUTH)
        wait_for(http, page, lambda answer: "Audit trail" in answer.text)
        withdrawn = run_command(AUTH, "consent", "revoke", "demo", CLIENT_ID, environment=stack.environment(AUTH))
        assert withdrawn.returncode == 0, withdrawn.stderr
        wait_for(http, page, lambda answer: str(answer.url).startswith(stack.issuer))


def wait_for(http, page, is_expected):
    deadline = time.monotonic() + 60
    while not is_expected(http.get(page)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.anyio
async def test_starting_a_sign_in_reads_no_ca_certificates(stack, monkeypatch):
    """That takes 25 ms of CPU time, and unauthenticated clients can start any number of sign-ins."""
    calls = []
    original = ssl.create_default_context

    def count_calls(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(ssl, "create_default_context", count_calls)
    settings = ResourceSettings(issuer=stack.issuer, resource=stack.resource)
    async with httpx2.AsyncClient() as client:
        verifier = TokenVerifier([], http=client)
        key_file = stack.secrets / "mcp" / "audit_page_private_key.json"
        oauth = OAuthSignIn(settings, key_file, http=client, verifier=verifier, clock=time.time)
        calls_before = len(calls)
        for _ in range(3):
            request = Request({"type": "http", "headers": [], "query_string": b""})
            redirect, _ = await oauth.begin(request, state="s", language="en", other_account=False)
            assert redirect.headers["location"].startswith(f"{stack.issuer}/oauth2/authorize?")
    assert calls_before
    assert len(calls) == calls_before
