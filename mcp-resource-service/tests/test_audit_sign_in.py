"""Signing in to the audit page in several tabs, twice, late, and with answers that do not say where they come from."""

import re
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie

import httpx2
import pytest

from local_stack.forms import Form, submit
from mcp_resource_service.audit_page.sessions import MAX_SIGN_INS


@pytest.fixture
def http():
    with httpx2.Client(timeout=20) as client:
        yield client


def open_page(http: httpx2.Client, url: str, until: str) -> httpx2.Response:
    """Follows redirects, and stops in front of an address that begins with `until`."""
    answer = http.get(url)
    while answer.has_redirect_location:
        url = str(httpx2.URL(str(answer.url)).join(answer.headers["location"]))
        if url.startswith(until):
            break
        answer = http.get(url)
    return answer


def sign_in_to_callback(http: httpx2.Client, address: str, callback: str) -> str:
    """The address of the callback to which the issuer sends the browser after the sign-in."""
    answer = open_page(http, address, callback)
    while not answer.headers.get("location", "").startswith(callback):
        if answer.has_redirect_location:
            answer = http.get(httpx2.URL(str(answer.url)).join(answer.headers["location"]))
        elif "password" in Form(answer.text).values:
            answer = submit(http, answer, username="demo", password="demo")
        else:
            answer = submit(http, answer)
    return answer.headers["location"]


def test_two_sign_ins_that_begin_at_the_same_moment_both_go_on(http, stack):
    """Neither knows the cookie of the other one; the browser keeps both."""
    callback = f"{stack.mcp_url}/audit/callback"
    begun = [httpx2.get(f"{stack.mcp_url}/audit/sign-in?period={period}") for period in ("1h", "7d")]
    for answer in begun:
        for name, morsel in SimpleCookie(answer.headers["set-cookie"]).items():
            http.cookies.set(name, morsel.value, domain="localhost.local")
    for answer, period in zip(begun, ("1h", "7d"), strict=True):
        back = sign_in_to_callback(http, answer.headers["location"], callback)
        signed_in = http.get(back)
        assert (signed_in.status_code, f"period={period}" in signed_in.headers["location"]) == (303, True)
    assert http.get(f"{stack.mcp_url}/audit").status_code == 200
    assert not [name for name in http.cookies if "sign_in" in name], "the cookies of finished sign-ins are removed"


def test_a_callback_that_is_opened_again_leads_to_the_page(http, stack):
    callback = f"{stack.mcp_url}/audit/callback"
    back = sign_in_to_callback(http, f"{stack.mcp_url}/audit", callback)
    assert http.get(back).headers["location"].startswith("/audit?")
    again = http.get(back)
    assert (again.status_code, again.headers["location"].partition("?")[0]) == (303, "/audit")


@pytest.mark.parametrize(
    "change",
    [
        lambda back: re.sub(r"[?&]iss=[^&]*", "", back),
        lambda back: re.sub(r"iss=[^&]*", "iss=", back),
        lambda back: re.sub(r"iss=[^&]*", "iss=http://evil.example", back),
    ],
    ids=["missing", "empty", "another"],
)
def test_an_answer_that_does_not_name_its_issuer_is_refused(http, stack, change):
    """RFC 9207 section 2.4: the issuer announces that it names itself, so an answer without `iss` is not its own."""
    back = sign_in_to_callback(http, f"{stack.mcp_url}/audit", f"{stack.mcp_url}/audit/callback")
    answer = http.get(change(back))
    assert answer.status_code == 403
    assert http.get(f"{stack.mcp_url}/audit").status_code == 303


def test_signing_out_twice_ends_the_issuers_session_and_is_one_event(http, stack):
    """The browser drops the answer to the first click; the second one must lead to the issuer's logout too."""
    http.get(sign_in_to_callback(http, f"{stack.mcp_url}/audit", f"{stack.mcp_url}/audit/callback"))

    def sign_out(_: int) -> httpx2.Response:
        return http.post(f"{stack.mcp_url}/audit/sign-out?language=ko", headers={"Origin": stack.mcp_url})

    with ThreadPoolExecutor(3) as pool:
        answers = [*pool.map(sign_out, range(3)), sign_out(3)]
    assert {answer.status_code for answer in answers} == {303}
    (address,) = {answer.headers["location"] for answer in answers}
    assert address.startswith(f"{stack.issuer}/oauth2/logout?id_token_hint=")
    assert http.get(f"{stack.mcp_url}/audit").status_code == 303


def test_a_browser_keeps_a_bounded_number_of_sign_ins(http, stack):
    for _ in range(MAX_SIGN_INS + 3):
        assert http.get(f"{stack.mcp_url}/audit/sign-in").status_code == 302
    assert len([name for name in http.cookies if "sign_in" in name]) == MAX_SIGN_INS


def test_a_cookie_of_another_name_does_not_replace_the_session(http, stack):
    """A sibling host can set a cookie whose name begins with U+00A0, and so get around the prefix `__Host-`."""
    callback = f"{stack.mcp_url}/audit/callback"
    http.get(sign_in_to_callback(http, f"{stack.mcp_url}/audit", callback))
    own = "; ".join(f"{each.name}={each.value}" for each in http.cookies.jar).encode()
    answer = httpx2.get(f"{stack.mcp_url}/audit", headers={b"cookie": own + b"; \xa0mcp_audit=planted"})
    assert answer.status_code == 200
