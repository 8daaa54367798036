"""Sign-in to the audit page: several tabs, repeated callbacks, and responses without a valid issuer."""

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
    """Follows redirects until one leads to an address that begins with `until`."""
    response = http.get(url)
    while response.has_redirect_location:
        url = str(httpx2.URL(str(response.url)).join(response.headers["location"]))
        if url.startswith(until):
            break
        response = http.get(url)
    return response


def sign_in_to_callback(http: httpx2.Client, address: str, callback: str) -> str:
    """Signs in at the issuer and returns the callback address with the authorization response."""
    response = open_page(http, address, callback)
    while not response.headers.get("location", "").startswith(callback):
        if response.has_redirect_location:
            response = http.get(httpx2.URL(str(response.url)).join(response.headers["location"]))
        elif "password" in Form(response.text).values:
            response = submit(http, response, username="demo", password="demo")
        else:
            response = submit(http, response)
    return response.headers["location"]


def test_two_sign_ins_of_one_browser_both_succeed(http, stack):
    """Each sign-in has its own cookie, and the browser keeps both."""
    callback = f"{stack.mcp_url}/audit/callback"
    begun = [httpx2.get(f"{stack.mcp_url}/audit/sign-in?period={period}") for period in ("1h", "7d")]
    for response in begun:
        for name, morsel in SimpleCookie(response.headers["set-cookie"]).items():
            http.cookies.set(name, morsel.value, domain="localhost.local")
    for response, period in zip(begun, ("1h", "7d"), strict=True):
        callback_url = sign_in_to_callback(http, response.headers["location"], callback)
        signed_in = http.get(callback_url)
        assert (signed_in.status_code, f"period={period}" in signed_in.headers["location"]) == (303, True)
    assert http.get(f"{stack.mcp_url}/audit").status_code == 200
    assert not [name for name in http.cookies if "sign_in" in name], "the cookies of finished sign-ins are removed"


def test_a_repeated_callback_redirects_to_the_page(http, stack):
    callback = f"{stack.mcp_url}/audit/callback"
    callback_url = sign_in_to_callback(http, f"{stack.mcp_url}/audit", callback)
    assert http.get(callback_url).headers["location"].startswith("/audit?")
    again = http.get(callback_url)
    assert (again.status_code, again.headers["location"].partition("?")[0]) == (303, "/audit")


@pytest.mark.parametrize(
    "change",
    [
        lambda url: re.sub(r"[?&]iss=[^&]*", "", url),
        lambda url: re.sub(r"iss=[^&]*", "iss=", url),
        lambda url: re.sub(r"iss=[^&]*", "iss=http://evil.example", url),
    ],
    ids=["missing", "empty", "another"],
)
def test_a_response_without_the_expected_issuer_is_refused(http, stack, change):
    """RFC 9207 section 2.4: the issuer announces the parameter `iss`, so a response without it is invalid."""
    callback_url = sign_in_to_callback(http, f"{stack.mcp_url}/audit", f"{stack.mcp_url}/audit/callback")
    response = http.get(change(callback_url))
    assert response.status_code == 403
    assert http.get(f"{stack.mcp_url}/audit").status_code == 303


def test_a_double_click_on_sign_out_redirects_to_the_issuer_both_times(http, stack):
    """The browser shows only the second response, which therefore has to redirect to the issuer's logout too."""
    http.get(sign_in_to_callback(http, f"{stack.mcp_url}/audit", f"{stack.mcp_url}/audit/callback"))

    def sign_out(_: int) -> httpx2.Response:
        return http.post(f"{stack.mcp_url}/audit/sign-out?language=ko", headers={"Origin": stack.mcp_url})

    with ThreadPoolExecutor(3) as pool:
        responses = [*pool.map(sign_out, range(3)), sign_out(3)]
    assert {response.status_code for response in responses} == {303}
    (address,) = {response.headers["location"] for response in responses}
    assert address.startswith(f"{stack.issuer}/oauth2/logout?id_token_hint=")
    assert http.get(f"{stack.mcp_url}/audit").status_code == 303


def test_a_browser_has_a_limited_number_of_sign_in_cookies(http, stack):
    for _ in range(MAX_SIGN_INS + 3):
        assert http.get(f"{stack.mcp_url}/audit/sign-in").status_code == 302
    assert len([name for name in http.cookies if "sign_in" in name]) == MAX_SIGN_INS


def test_a_cookie_of_another_name_does_not_replace_the_session(http, stack):
    """A sibling host can set a cookie whose name begins with U+00A0, which bypasses the prefix `__Host-`."""
    callback = f"{stack.mcp_url}/audit/callback"
    http.get(sign_in_to_callback(http, f"{stack.mcp_url}/audit", callback))
    own = "; ".join(f"{each.name}={each.value}" for each in http.cookies.jar).encode()
    response = httpx2.get(f"{stack.mcp_url}/audit", headers={b"cookie": own + b"; \xa0mcp_audit=planted"})
    assert response.status_code == 200
