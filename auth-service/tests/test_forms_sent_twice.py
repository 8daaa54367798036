"""Browsers send forms twice, also concurrently, return to them later, and open several requests at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
import redis
from running_auth import Service, StartService
from signing_in import Page, Person, Request, redeem, sent_to_client

from auth_service.authorize.interactions import LIFETIME_SECONDS, MAX_REQUESTS
from auth_service.authorize.repeatable_responses import REPEATABLE_SECONDS

ASK = {"prompt": "consent"}  # the consents of the demo user are stored across tests


def send_twice(person: Person, page: httpx2.Response, **fields: str) -> list[httpx2.Response]:
    """One after the other, without following redirects."""
    return [post(person, page, **fields) for _ in range(2)]


def send_together(person: Person, page: httpx2.Response, times: int, **fields: str) -> list[httpx2.Response]:
    """Concurrently and with the same cookies, like several clicks before the first response."""
    cookie = "; ".join(f"{each.name}={each.value}" for each in person.http.cookies.jar)
    ready = threading.Barrier(times)

    def send(_: int) -> httpx2.Response:
        base_url, headers = person.http.base_url, person.http.headers
        with httpx2.Client(base_url=base_url, timeout=20, headers=headers, verify=False) as http:
            form = Page(page.text)
            ready.wait()
            return http.post(form.action, data={**form.fields, **fields}, headers={"cookie": cookie})

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(send, range(times)))


def post(person: Person, page: httpx2.Response, **fields: str) -> httpx2.Response:
    form = Page(page.text)
    return person.http.post(form.action, data={**form.fields, **fields})


def locations(answers: list[httpx2.Response]) -> set[str]:
    assert {answer.status_code for answer in answers} == {303}, [answer.text for answer in answers]
    return {answer.headers["location"] for answer in answers}


def begin(people: Service, changes: dict[str, str | None]) -> httpx2.Response:
    """An authorization request of a browser without cookies."""
    return people.http.get(Request("app", changes).path, headers={"x-forwarded-for": "10.7.0.1"})


@pytest.mark.parametrize("action", ["allow", "deny"])
def test_a_second_click_gets_the_same_redirect(people: Service, person: Person, action: str) -> None:
    request = Request("app", ASK)
    page = person.sign_in(person.open(request.path))
    first, second = send_twice(person, page, action=action)
    (location,) = locations([first, second])
    assert ("code=" in location) == (action == "allow")
    if action == "allow":
        assert redeem(people.http, request, sent_to_client(second)["code"]).status_code == 200


def test_the_first_decision_counts(person: Person) -> None:
    page = person.sign_in(person.open(Request("app", ASK).path))
    allowed = post(person, page, action="allow")
    assert locations([allowed, post(person, page, action="deny")]) == {allowed.headers["location"]}


def test_concurrent_clicks_get_one_code_and_one_audit_event(people: Service, person: Person) -> None:
    page = person.sign_in(person.open(Request("app", {**ASK, "state": "together"}).path))
    before = recorded(people, "consent_given"), recorded(people, "code_issued")
    assert len(locations(send_together(person, page, 5, action="allow"))) == 1
    assert (recorded(people, "consent_given"), recorded(people, "code_issued")) == (before[0] + 1, before[1] + 1)


def test_clicks_that_reach_two_replicas_get_one_code(
    people: Service, person: Person, start_service: StartService
) -> None:
    replica = start_service(config=people.settings.config, issuer=people.issuer, trusted_proxies="127.0.0.1")
    page = person.sign_in(person.open(Request("app", ASK).path))
    cookie = "; ".join(f"{each.name}={each.value}" for each in person.http.cookies.jar)

    def send(service: Service) -> httpx2.Response:
        fields = {**Page(page.text).fields, "action": "allow"}
        return service.http.post("/oauth2/consent", data=fields, headers={"cookie": cookie})

    with ThreadPoolExecutor(2) as pool:
        assert len(locations(list(pool.map(send, (people, replica))))) == 1


def test_signing_in_twice_with_one_form_is_one_sign_in(people: Service, person: Person) -> None:
    person.grant(Request("app"))
    page = person.open(Request("app", {"prompt": "login"}).path)
    before = recorded(people, "sign_in")
    answers = send_together(person, page, 3, username="demo", password="demo", action="sign_in")
    (location,) = locations(answers)
    assert "code=" in location, "everything was allowed before: the sign-in leads to the client"
    assert len({tuple(answer.headers.get_list("set-cookie")) for answer in answers}) == 1
    assert recorded(people, "sign_in") == before + 1


def test_a_wrong_password_is_not_repeated_for_the_right_one(person: Person) -> None:
    page = person.open(Request("app", ASK).path)
    assert person.sign_in(page, "demo", "wrong").status_code == 400
    assert person.sign_in(page, "demo", "wrong").status_code == 400
    assert Page(person.sign_in(page).text).action == "/oauth2/consent"


def test_cancelling_and_signing_out_twice_has_the_same_result_as_once(person: Person) -> None:
    page = person.open(Request("app", ASK).path)
    (location,) = locations(send_twice(person, page, action="cancel"))
    assert "error=access_denied" in location
    person.grant(Request("app"))
    page = person.open("/oauth2/logout?client_id=app&post_logout_redirect_uri=https://app.example/bye&state=1")
    assert locations(send_together(person, page, 3)) == {"https://app.example/bye?state=1"}


def test_a_stored_response_is_encrypted_for_its_browser(
    people: Service, person: Person, own_redis: tuple[str, Any], start_service: StartService
) -> None:
    """Neither another browser nor a reader of Redis gets the code."""
    service = start_service(redis_url=own_redis[0], config=people.settings.config)
    person.http.base_url = f"http://127.0.0.1:{service.settings.port}"
    page = person.sign_in(person.open(Request("app", ASK).path))
    code = sent_to_client(post(person, page, action="allow"))["code"]
    store = own_redis[1]
    stored = [store.get(key) for key in store.scan_iter("auth:page-response:*")]
    assert stored
    assert not any(code in value or "location" in value for value in stored)
    stolen = {key: value for key, value in person.http.cookies.items() if "request" not in key}
    form = Page(page.text)
    answer = httpx2.post(
        f"{person.http.base_url}{form.action}", data={**form.fields, "action": "allow"}, cookies=stolen
    )
    assert (answer.status_code, "location" in answer.headers) == (403, False)


def test_a_finished_page_that_is_opened_again_issues_no_code_and_offers_a_restart(person: Person) -> None:
    """After the back button or a reload the client must not get a code that it has used."""
    page = person.sign_in(person.open(Request("app", ASK).path))
    assert "code" in sent_to_client(person.allow(page))
    again = person.http.get(str(page.url))
    assert (again.status_code, "location" in again.headers) == (400, False)
    assert "already answered" in again.text
    page = person.open(Page(again.text).links["Start again"])
    assert Page(page.text).action == "/oauth2/consent"
    assert "code" in sent_to_client(person.allow(page))


@pytest.mark.parametrize("step", ["sign-in", "consent"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_expired_page_offers_to_restart_the_same_request(
    people: Service, person: Person, step: str, method: str
) -> None:
    request = Request("app", {**ASK, "state": "a b&c", "ui_locales": "ko"})
    page = person.open(request.path)
    if step == "consent":
        page = person.sign_in(page)
    forget_interactions(people)
    late = post(person, page, action="allow") if method == "POST" else person.http.get(str(page.url))
    assert late.status_code == 400
    assert '<html lang="ko">' in late.text
    link = Page(late.text).links["다시 시작"]
    assert httpx2.URL(link).params == httpx2.URL(request.path).params
    page = person.open(link)
    page = person.sign_in(page) if Page(page.text).action == "/oauth2/sign-in" else page
    assert sent_to_client(person.allow(page))["state"] == "a b&c"


def test_the_restart_of_an_expired_page_leads_to_this_server_only(people: Service) -> None:
    for resume in ("//evil.example/", "https://evil.example/", "../../evil", '"><script>', "\r\nx: y", "#a"):
        page = people.http.get("/oauth2/sign-in", params={"request": "x" * 22, "resume": resume})
        link = Page(page.text).links["Start again"]
        assert link.startswith("/oauth2/authorize?")
        assert httpx2.URL(link).fragment == ""
        assert "<script" not in page.text
    too_long = people.http.get("/oauth2/consent", params={"request": "x", "resume": "a" * 5000})
    assert "Start again" not in Page(too_long.text).links
    assert "Go back to the app to start again" in too_long.text


def test_a_form_that_shows_another_account_has_to_be_loaded_again(person: Person) -> None:
    """Another user signed in, in another tab, after the page was loaded."""
    page = person.sign_in(person.open(Request("app", ASK).path))
    stale = post(person, page, action="allow", csrf_token="0" * 64)
    assert stale.status_code == 403
    assert Page(person.open(Page(stale.text).links["Load the page again"]).text).action == "/oauth2/consent"


def test_requests_that_begin_at_the_same_moment_can_both_be_completed(people: Service, person: Person) -> None:
    """Neither request has the cookie of the other one; the browser keeps both."""
    answers = [begin(people, {**ASK, "state": state}) for state in ("first", "second")]
    for answer in answers:
        name, _, value = answer.headers["set-cookie"].split(";")[0].partition("=")
        person.http.cookies.set(name, value)
    pages = [person.open(answer.headers["location"]) for answer in answers]
    assert [page.status_code for page in pages] == [200, 200]
    first = person.sign_in(pages[0])
    second = person.open(answers[1].headers["location"])
    assert Page(second.text).action == "/oauth2/consent", "one password is enough for both"
    assert sent_to_client(person.allow(second))["state"] == "second"
    assert sent_to_client(person.allow(first))["state"] == "first"


def test_a_second_tab_may_also_send_its_own_sign_in(person: Person) -> None:
    first, second = (person.open(Request("app", ASK).path) for _ in range(2))
    assert Page(person.sign_in(first).text).action == "/oauth2/consent"
    assert Page(person.sign_in(second).text).action == "/oauth2/consent"


def test_a_browser_keeps_a_bounded_number_of_requests(person: Person) -> None:
    pages = [person.open(Request("app", {**ASK, "state": str(number)}).path) for number in range(MAX_REQUESTS + 3)]
    assert len([name for name in person.http.cookies if "request" in name]) == MAX_REQUESTS
    statuses = [person.http.get(str(page.url)).status_code for page in pages]
    assert statuses == [403] * 3 + [200] * MAX_REQUESTS
    restarted = person.open(Page(person.http.get(str(pages[0].url)).text).links["Start again"])
    assert Page(restarted.text).action == "/oauth2/sign-in"


def test_the_cookie_of_a_request_is_strict_and_ends_with_it(person: Person) -> None:
    given = person.http.get(Request("app", ASK).path)
    (cookie,) = given.headers.get_list("set-cookie")
    for part in ("HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={LIFETIME_SECONDS}"):
        assert part in cookie
    page = person.sign_in(person.open(given.headers["location"]))
    name = cookie.partition("=")[0]
    cookies = post(person, page, action="allow").headers.get_list("set-cookie")
    assert [f"Max-Age={REPEATABLE_SECONDS};" in each for each in cookies if each.startswith(name)] == [True]


def test_malformed_cookies_of_other_applications_do_not_hide_the_session(people: Service, person: Person) -> None:
    """Cookies are shared between ports, so on localhost the service gets those of all other applications."""
    person.open(Request("app", ASK).path)
    location = person.http.get(Request("app", ASK).path).headers["location"]
    ours = "; ".join(f"{each.name}={each.value}" for each in person.http.cookies.jar)
    for odd in ('prefs={"a": [1, 2]}', "flag", "a=b c", "[x]=1", 'quoted="x, y"', "=empty"):
        answer = people.http.get(location, headers={"cookie": f"{odd}; {ours}"})
        assert answer.status_code == 200, odd


def recorded(service: Service, event_type: str) -> int:
    """The number of events of this type in the journal."""
    journals = service.settings.security.audit_dir.rglob("*.log")
    return sum(path.read_text().count(f'"event_type":"{event_type}"') for path in journals)


def forget_interactions(service: Service) -> None:
    """Deletes the interaction, as its expiry after 15 minutes does."""
    with redis.Redis.from_url(service.settings.redis_url) as store:
        for key in store.scan_iter("auth:interaction:*"):
            store.delete(key)


def test_a_cookie_of_another_name_does_not_replace_the_session(people: Service, person: Person) -> None:
    """A sibling host can set a cookie whose name begins with U+00A0, and so get around the prefix `__Host-`."""
    person.grant(Request("app"))
    own = "; ".join(f"{each.name}={each.value}" for each in person.http.cookies.jar).encode()
    for space in (b"\x85", b"\xa0"):
        planted = own + b"; " + space + b"auth_session=" + b"A" * 43
        answer = people.http.get("/oauth2/logout", headers={b"cookie": planted})
        assert "csrf_token" in answer.text, "the person is no longer signed in"
