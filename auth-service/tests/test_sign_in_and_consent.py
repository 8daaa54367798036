"""Items 102 to 115: forms, sessions, password guesses, misleading names, and logout."""

import asyncio
import re
from collections.abc import Iterator

import httpx2
import pytest
from argon2 import PasswordHasher
from redis.asyncio import Redis
from running_auth import Service, StartService
from signing_in import CALLBACK, Page, Person, Request, redeem, sent_to_client

from auth_service.accounts.account import Account
from auth_service.accounts.passwords import Passwords
from auth_service.accounts.store import AccountStore
from auth_service.web.content_security import form_target, page_policy
from auth_service.web.visible_names import unverified_name, visible_name

ASK = {"prompt": "consent"}  # the consents of the demo user are stored across tests


@pytest.fixture
def other_person(people: Service) -> Iterator[Person]:
    other_person = Person(f"http://127.0.0.1:{people.settings.port}", source="10.8.0.1")
    yield other_person
    other_person.http.close()


def test_item_102_a_form_without_csrf_token_is_refused(person: Person) -> None:
    page = person.open(Request("app", ASK).path)
    for key in ("", "0" * 64, "é"):
        refused = person.submit(page, csrf_token=key, username="demo", password="demo", action="sign_in")
        assert refused.status_code == 403
    page = person.sign_in(page)
    assert person.submit(page, csrf_token="0" * 64, action="allow").status_code == 403
    assert "code" in sent_to_client(person.allow(page))


def test_items_103_and_104_a_sign_in_starts_a_session_with_a_new_id(person: Person) -> None:
    person.sign_in(person.open(Request("app", ASK).path))
    before = person.http.cookies["auth_session"]
    person.sign_in(person.open(Request("app", {"prompt": "login"}).path))
    after = person.http.cookies["auth_session"]
    assert before != after
    for planted in (before, "A" * 43):
        person.http.cookies.clear()
        person.http.cookies.set("auth_session", planted, domain="127.0.0.1")
        assert sent_to_client(person.open(Request("app", {"prompt": "none"}).path))["error"] == "login_required"
    person.sign_in(person.open(Request("app", ASK).path))
    assert person.http.cookies["auth_session"] != "A" * 43


def test_items_105_and_114_pages_cannot_be_framed_and_cookies_are_strict(person: Person) -> None:
    answer = person.http.get(Request("app").path)
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    page = person.open(Request("app").path)
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:7777;" in policy
    assert re.findall("script[^;]*", policy) == re.findall("script-src 'sha256-[^' ]*'", policy)
    assert page.text.count("<script") == 1  # that of the password field


def test_item_99_redirects_do_not_repeat_the_password(person: Person) -> None:
    """After 307 or 308 a browser would post the form again, in the end to the client."""
    page = person.open(Request("app", ASK).path)
    fields = {**Page(page.text).fields, "username": "demo", "password": "demo", "action": "sign_in"}
    signed_in = person.http.post("/oauth2/sign-in", data=fields)
    page = person.open(signed_in.headers["location"])
    allowed = person.http.post("/oauth2/consent", data={**Page(page.text).fields, "action": "allow"})
    assert (signed_in.status_code, allowed.status_code) == (303, 303)
    assert allowed.headers["location"].startswith(CALLBACK)


def test_item_111_a_page_leads_only_to_the_stored_request(person: Person) -> None:
    elsewhere = "https://evil.example/"
    for path in ("sign-in", "consent", "logout"):
        for name in ("request", "return_to", "next", "redirect_uri"):
            answer = person.http.get(f"/oauth2/{path}", params={name: elsewhere})
            assert answer.status_code in {200, 400}
            assert "location" not in answer.headers
            assert elsewhere not in answer.text
    location = person.http.get(Request("app").path).headers["location"]
    page = person.http.get(location, params={"request": location.partition("=")[2], "return_to": elsewhere})
    assert person.sign_in(page).headers.get("location", CALLBACK).startswith(CALLBACK)


def test_login_hint_is_the_default_of_the_username(person: Person) -> None:
    page = person.open(Request("app", {"login_hint": 'hong"><script>'}).path)
    assert Page(page.text).fields["username"] == 'hong"><script>'
    assert page.text.count("<script") == 1  # that of the password field


def test_item_114_on_https_cookies_have_the_host_prefix(people: Service, start_service: StartService) -> None:
    service = start_service(
        config=people.settings.config, issuer="https://auth.example.com", resource="https://mcp.example.com", demo=False
    )
    cookie = service.http.get(Request("app").path).headers["set-cookie"]
    assert cookie.startswith("__Host-auth_request_")
    assert "; Secure" in cookie


def test_item_106_the_form_cannot_add_scopes_to_the_stored_request(people: Service, person: Person) -> None:
    request = Request("app", ASK)
    page = person.sign_in(person.open(request.path))
    changed = person.submit(page, action="allow", scope="mcp.audit", redirect_uri="https://evil.example", resource="x")
    assert changed.headers["location"].startswith(CALLBACK)
    assert redeem(people.http, request, sent_to_client(changed)["code"]).json()["scope"] == "mcp.access"


def test_item_108_another_browser_cannot_continue_a_request(person: Person, other_person: Person) -> None:
    location = person.http.get(Request("app").path).headers["location"]
    assert other_person.http.get(location).status_code == 403
    other_person.grant(Request("app"))
    assert other_person.http.get(location.replace("sign-in", "consent")).status_code == 403


def test_a_second_tab_continues_after_the_first_one_signed_in(person: Person) -> None:
    first = person.open(Request("app").path)
    second = person.http.get(Request("app", ASK).path).headers["location"]
    person.sign_in(first)
    assert Page(person.open(second).text).action == "/oauth2/consent"


def test_item_97_denying_on_either_page_is_answered_with_access_denied(people: Service, person: Person) -> None:
    sent = sent_to_client(person.submit(person.open(Request("app").path), action="cancel"))
    assert (sent["error"], sent["iss"], sent["state"]) == ("access_denied", people.issuer, "some state")
    page = person.sign_in(person.open(Request("app", ASK).path))
    assert sent_to_client(person.submit(page, action="deny"))["error"] == "access_denied"


def test_item_109_a_client_name_cannot_imitate_the_page() -> None:
    shown = str(unverified_name("<script>x</script>\u202egpj.exe\u200b \n" + "a" * 200))
    assert shown.startswith("<bdi>&lt;script&gt;x&lt;/script&gt;gpj.exe aaa")
    assert len(shown) < 140


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("https://app.example/cb?x=1", "https://app.example"),
        ("http://localhost:3/cb", "http://localhost:3"),
        ("http://[::1]:3/cb", "http:"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
        ("https://app.example;script-src.evil.example/cb", "'self'"),
        ("https://app.example'unsafe-inline'/cb", "'self'"),
        ("https://app.example *.evil.example/cb", "'self'"),
        ("https://*/cb", "'self'"),
        ("https://user@app.example/cb", "'self'"),
        ("https://app.example:99999999/cb", "'self'"),
        ("https://[::1/cb", "'self'"),
        ("a;b://x/cb", "'self'"),
    ],
)
def test_form_action_allows_the_origin_of_the_redirect_uri(uri: str, target: str) -> None:
    assert form_target(uri) == target


@pytest.mark.parametrize("source", ["https://a.example;script-src *", "'unsafe-inline'", "*", "https:\r\nx: y", ""])
def test_the_policy_refuses_values_that_are_not_sources(source: str) -> None:
    with pytest.raises(ValueError, match="source"):
        page_policy((source,))


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\u3164",
        "\u115f\u1160",
        "\uffa0",
        "\u200b\u200d\ufeff",
        "\u202e\u2066",
        "\u2800",
        "\u00ad",
        "\u034f",
        "...",
        "\u0301",
    ],
    ids=ascii,
)
def test_an_invisible_name_is_not_displayed(name: str) -> None:
    assert visible_name(name) is None
    assert unverified_name(f"{name} \u3164") is None


def test_names_in_every_script_are_displayed() -> None:
    for name in ("Claude", "클로드 데스크톱", "中文", "שלום", "e\u0301diteur", "7", "🦊"):
        assert visible_name(name) == name


@pytest.mark.parametrize(("language", "nameless"), [("en", "an app without a name"), ("ko", "이름 없는 앱")])
def test_a_client_with_an_invisible_name_is_named_by_its_host(
    people: Service, person: Person, language: str, nameless: str
) -> None:
    for redirect_uri, shown in (("https://site.example/cb", "site.example"), (CALLBACK, nameless)):
        metadata = {
            "client_name": "\u3164 \u2800",
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": "none",
        }
        headers = {"x-forwarded-for": "10.4.0.1"}
        client_id = people.http.post("/oauth2/register", json=metadata, headers=headers).json()["client_id"]
        request = Request(client_id, {"redirect_uri": redirect_uri, "ui_locales": language})
        page = person.open(request.path)
        page = person.sign_in(page) if Page(page.text).action == "/oauth2/sign-in" else page
        assert shown in page.text.partition("<h1>")[2].partition("</h1>")[0]
        assert shown in page.text.partition("<title>")[2].partition("</title>")[0]


def test_item_112_an_unknown_name_and_a_wrong_password_have_equal_responses_and_costs(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, hashed, verify = person.open(Request("app").path), list[str](), PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda *parts: hashed.append(parts[1]) or verify(*parts))
    answers = [person.sign_in(page, username, "wrong") for username in ("demo", "nope")]
    parameters = {sealed.split("$")[3] for sealed in hashed}
    assert (len(hashed), len(parameters)) == (2, 1)
    texts = {re.sub(r'value="(demo|nope)"', "", answer.text) for answer in answers}
    assert ({answer.status_code for answer in answers}, len(texts)) == ({400}, 1)
    assert 'role="alert"' in answers[0].text


def test_item_113_only_the_address_that_guesses_has_to_wait(person: Person, other_person: Person) -> None:
    page = person.open(Request("app").path)
    answers = [person.sign_in(page, "demo", "wrong") for _ in range(8)]
    assert answers[0].status_code == 400
    last = next(answer for answer in answers if answer.status_code == 429)
    assert int(last.headers["retry-after"]) >= 1
    assert "code" in other_person.grant(Request("app"))


def test_concurrent_guesses_are_all_counted(person: Person) -> None:
    """Five failures cause no wait; each further one sees the failures before it, however many are sent at once."""
    form = Page(person.open(Request("app").path).text)
    cookie = "; ".join(f"{each.name}={each.value}" for each in person.http.cookies.jar)
    headers = {**person.http.headers, "cookie": cookie}

    async def guess_at_once() -> list[int]:
        base_url = person.http.base_url
        async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=30, verify=False) as http:
            forms = ({**form.fields, "username": "demo", "password": f"guess {number}"} for number in range(40))
            answers = await asyncio.gather(*(http.post(form.action, data=each) for each in forms))
        return [answer.status_code for answer in answers]

    statuses = asyncio.run(guess_at_once())
    assert set(statuses) == {400, 429}
    assert statuses.count(400) <= 8, "more were checked than the waits allow"


def test_one_address_cannot_fill_redis_with_unanswered_requests(people: Service) -> None:
    def begin(address: str) -> httpx2.Response:
        return people.http.get(Request("app").path, headers={"x-forwarded-for": address})

    answers = [begin("192.0.2.80") for _ in range(603)]
    assert answers[0].headers["location"].startswith("/oauth2/sign-in")
    sent = sent_to_client(answers[-1])
    assert (sent["error"], sent["iss"]) == ("temporarily_unavailable", people.issuer)
    assert begin("192.0.2.81").headers["location"].startswith("/oauth2/sign-in")


def test_the_name_of_a_self_registered_client_is_marked_as_unverified(people: Service, person: Person) -> None:
    metadata = {
        "client_name": "My \u202eeditor & <b>",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    }
    client_id = people.http.post("/oauth2/register", json=metadata).json()["client_id"]
    page = person.sign_in(person.open(Request(client_id).path)).text
    text = Page(page).text
    assert "<title>Allow My editor &amp; &lt;b&gt; to connect? " in page  # a title is plain text without markup
    assert "Allow My editor & <b> to connect?" in text
    assert "has not been verified" in text
    assert "another program there could pretend to be it" in text
    assert "mcp.audit" not in text


def test_the_korean_consent_page_describes_each_scope(person: Person) -> None:
    scopes = "openid profile email offline_access mcp.access mcp.decrypt mcp.audit"
    request = Request("app", {**ASK, "ui_locales": "ko", "scope": scopes})
    text = Page(person.sign_in(person.open(request.path)).text).text
    for words in (
        *("내 계정 식별하기 openid", "내 이름 보기 profile", "내 이메일 주소 보기 email"),
        *("연결 유지하기 offline_access", "도구 사용하기 mcp.access", "평문으로 보기 mcp.decrypt"),
        *(
            "모든 사용자의 감사 기록 열람하기 mcp.audit",
            "이 서버의 운영자가 등록한 앱",
            "127.0.0.1:7777 (이 컴퓨터의 프로그램)",
        ),
    ):
        assert words in text


def test_only_auditors_can_grant_the_audit_scope(people: Service, person: Person) -> None:
    from auth_service.accounts.consents import grantable_scopes
    from auth_service.errors import InvalidScope

    anyone = Account(subject="u_x", username="x", name="X")
    assert grantable_scopes(("mcp.access", "mcp.audit"), anyone) == ("mcp.access",)
    with pytest.raises(InvalidScope):
        grantable_scopes(("mcp.audit",), anyone)


def test_id_token_hint_is_never_answered_for_another_user(
    people: Service, person: Person, other_person: Person
) -> None:
    async def add_other() -> None:
        async with Redis.from_url(people.settings.redis_url) as redis:
            other = Account(subject="u_other", username="not-hinted", name="Other")
            await AccountStore(redis).add(other, await Passwords().hash("pass phrase"))

    asyncio.run(add_other())
    asked = {"scope": "openid"}
    request = Request("app", asked)
    token = redeem(people.http, request, person.grant(request)["code"]).json()["id_token"]
    silent = Request("app", {**asked, "id_token_hint": token, "prompt": "none"})
    assert "code" in sent_to_client(person.open(silent.path))
    other_person.allow(other_person.sign_in(other_person.open(request.path), "not-hinted", "pass phrase"))
    assert sent_to_client(other_person.open(silent.path))["error"] == "login_required"
    page = other_person.open(Request("app", {**asked, "id_token_hint": token}).path)
    assert Page(page.text).action == "/oauth2/sign-in"
    assert sent_to_client(other_person.sign_in(page, "not-hinted", "pass phrase"))["error"] == "login_required"
    page = other_person.open(Request("app", {**asked, "id_token_hint": token}).path)
    assert "code" in sent_to_client(other_person.sign_in(page))


def test_logout_asks_unless_id_token_hint_names_the_signed_in_user(people: Service, person: Person) -> None:
    request = Request("app", {"scope": "openid"})
    token = redeem(people.http, request, person.grant(request)["code"]).json()["id_token"]
    asked = person.open("/oauth2/logout")
    assert Page(asked.text).action == "/oauth2/logout"
    assert "code" in sent_to_client(person.open(Request("app", {"prompt": "none", "scope": "openid"}).path))
    bye = f"/oauth2/logout?id_token_hint={token}&post_logout_redirect_uri=https://app.example/bye&state=a%26b"
    answer = person.open(bye)
    assert (answer.status_code, answer.headers["location"]) == (303, "https://app.example/bye?state=a%26b")
    silent = person.open(Request("app", {"prompt": "none", "scope": "openid"}).path)
    assert sent_to_client(silent)["error"] == "login_required"


def test_logout_by_a_form_of_the_client_is_redirected_to_get(people: Service, person: Person) -> None:
    """A form of another site arrives without the session cookie, which the GET request after it has."""
    request = Request("app", {"scope": "openid"})
    token = redeem(people.http, request, person.grant(request)["code"]).json()["id_token"]
    for form, action in (({"client_id": "app"}, "/oauth2/logout"), ({"id_token_hint": token}, "")):
        sent_on = people.http.post("/oauth2/logout", data=form)
        assert (sent_on.status_code, "set-cookie" in sent_on.headers) == (303, False)
        assert Page(person.open(sent_on.headers["location"]).text).action == action
    silent = person.open(Request("app", {"prompt": "none", "scope": "openid"}).path)
    assert sent_to_client(silent)["error"] == "login_required"


def test_logout_without_parameters(person: Person) -> None:
    person.grant(Request("app"))
    done = person.submit(person.open("/oauth2/logout"))
    assert "You are signed out" in done.text
    assert sent_to_client(person.open(Request("app", {"prompt": "none"}).path))["error"] == "login_required"


def test_logout_redirects_to_any_loopback_port(person: Person) -> None:
    address = "http://localhost:50123/bye"
    answer = person.open(f"/oauth2/logout?client_id=app&post_logout_redirect_uri={address}")
    assert (answer.status_code, answer.headers["location"]) == (303, address)


def test_item_115_logout_does_not_redirect_to_unregistered_addresses(person: Person) -> None:
    person.grant(Request("app"))
    answer = person.open("/oauth2/logout?client_id=app&post_logout_redirect_uri=https://evil.example/")
    assert (answer.status_code, "location" in answer.headers) == (400, False)
