"""Items 74 to 101: invalid authorization requests, and where their responses go."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx2
import pytest
from running_auth import Service
from signing_in import CALLBACK, Page, Person, Request, sent_to_client

from auth_service.authorize import authorization_endpoint, authorization_request

PAGE_HEADERS = {
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Row:
    """`changes` to a valid request; `error` is the code in the redirect, None means a page."""

    item: str
    changes: dict[str, str | None]
    error: str | None = None
    rule: str | None = None
    extra: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.item} {self.changes or self.extra}"

    def send(self, http: httpx2.Client) -> httpx2.Response:
        pairs = [*Request("app", self.changes).parameters.items(), *self.extra]
        return http.get(f"/oauth2/authorize?{urlencode(pairs)}")


PAGES = (
    Row("74", {"client_id": "unknown"}),
    Row("74", {"client_id": None}),
    Row("74", {"client_id": "a\x00b"}),
    Row("75", {"redirect_uri": "https://evil.example/"}, rule="require_registered_redirect"),
    Row("75", {"redirect_uri": f"{CALLBACK}/more"}),
    Row("75", {"redirect_uri": "http://127.0.0.1:7777/callback/../other"}),
    Row("75", {"redirect_uri": "http://127.0.0.1:7777@evil.example/callback"}),
    Row("75", {"redirect_uri": f"{CALLBACK}#fragment"}),
    Row("75", {"redirect_uri": "javascript:alert(1)"}),
    Row("76", {"redirect_uri": "http://127.0.0.1:9/other"}),
    Row("76", {"redirect_uri": "https://127.0.0.1:7777/callback"}),
    Row("77", {"redirect_uri": "http://[::1]:7777/callback"}),
    Row("78", {"redirect_uri": None}),
    Row("79", {}, extra=[("client_id", "app")]),
    Row("79", {}, rule="require_one_redirect", extra=[("redirect_uri", CALLBACK)]),
)

ERRORS = (
    Row("80", {}, "invalid_request", "refuse_repeated_parameters", [("scope", "mcp.access")]),
    Row("81", {"code_challenge": None}, "invalid_request"),
    Row("82", {"code_challenge_method": "plain"}, "invalid_request", "require_s256"),
    Row("82", {"code_challenge_method": None}, "invalid_request"),
    Row("83", {"code_challenge": "A" * 42}, "invalid_request", "require_pkce"),
    Row("84", {"response_type": "token"}, "unsupported_response_type", "require_code_response"),
    Row("84", {"response_type": "code token"}, "unsupported_response_type"),
    Row("85", {"response_type": None}, "invalid_request"),
    Row("86", {"scope": "unknown"}, "invalid_scope"),
    Row("86", {"scope": 'mcp.access "'}, "invalid_scope"),
    Row("87", {"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
    Row("88", {"request": "e30.e30."}, "request_not_supported", "refuse_request_objects"),
    Row("88", {"request_uri": "https://evil.example/r"}, "request_uri_not_supported", "refuse_request_uris"),
    Row("89", {"registration": "{}"}, "registration_not_supported", "refuse_registration"),
    Row("90", {"response_mode": "zzz"}, "unsupported_response_mode", "require_query_mode"),
    Row("91", {"prompt": "none"}, "login_required"),
    Row("92", {"prompt": "none login"}, "invalid_request", "check_prompt"),
    Row("92", {"prompt": "dance"}, "invalid_request"),
    Row("93", {"max_age": "soon"}, "invalid_request", "check_max_age"),
    Row("74", {"client_id": "without-codes"}, "unauthorized_client", "require_code_grant"),
)

RULES = [(name, rule) for name in ("REDIRECT_RULES", "REQUEST_RULES") for rule in getattr(authorization_request, name)]


def is_right(row: Row, answer: httpx2.Response) -> bool:
    if row.error is None:
        return answer.status_code == 400 and answer.headers["content-type"].startswith("text/html")
    if answer.status_code != 303 or not answer.headers["location"].startswith(CALLBACK):
        return False
    return sent_to_client(answer)["error"] == row.error


@pytest.mark.parametrize("row", PAGES, ids=str)
def test_an_error_without_a_safe_address_is_a_page(people: Service, row: Row) -> None:
    answer = row.send(people.http)
    assert is_right(row, answer), answer.headers
    assert "location" not in answer.headers
    assert PAGE_HEADERS.items() <= dict(answer.headers).items()
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'; form-action 'self'"
    )


@pytest.mark.parametrize("row", ERRORS, ids=str)
def test_items_97_and_101_an_error_redirect_has_state_and_issuer(people: Service, row: Row) -> None:
    answer = row.send(people.http)
    assert is_right(row, answer), (answer.status_code, answer.headers)
    sent = sent_to_client(answer)
    assert (sent["state"], sent["iss"]) == ("some state", people.issuer)
    assert sent["error_description"].isascii()


@pytest.mark.parametrize(("pipeline", "rule"), RULES, ids=lambda each: getattr(each, "__name__", each))
def test_each_rule_matters(people: Service, monkeypatch: pytest.MonkeyPatch, pipeline: str, rule: object) -> None:
    """Without the rule, the response to the row that names it is wrong."""
    row = next(row for row in (*PAGES, *ERRORS) if row.rule == rule.__name__)
    kept = tuple(each for each in getattr(authorization_request, pipeline) if each is not rule)
    module = authorization_endpoint if pipeline == "REQUEST_RULES" else authorization_request
    monkeypatch.setattr(module, pipeline, kept)
    assert not is_right(row, row.send(people.http))


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://127.0.0.1:9/callback"},
        {"redirect_uri": "http://localhost:51234/callback"},
        {"redirect_uri": "https://app.example/callback?tenant=1"},
        {
            "max_age": "100",
            "login_hint": "hong",
            "ui_locales": "ko",
            "acr_values": "1",
            "id_token_hint": "x",
            "own": "1",
        },
        {"scope": "mcp.access unknown calendar.read"},
        {"scope": None},
        {"resource": "http://LOCALHOST:8082/mcp"},
        {"state": "s" * 10_000},
        {"state": "a\r\nlocation: https://evil.example"},
        {"prompt": "consent"},
        {"response_mode": "query"},
    ],
    ids=str,
)
def test_items_76_77_93_94_95_a_valid_request_leads_to_the_sign_in_page(
    person: Person, changes: dict[str, str | None]
) -> None:
    page = person.open(Request("app", changes).path)
    assert (page.status_code, Page(page.text).action) == (200, "/oauth2/sign-in")


def test_item_98_a_post_request_is_redirected_to_get(people: Service, person: Person) -> None:
    """A form that another site posts arrives without the session cookie; the GET request after it has the cookie."""
    person.grant(Request("app"))
    request = Request("app", {"prompt": "none", "state": "a b\r\n\u00e4"})
    answer = people.http.post("/oauth2/authorize", data=request.parameters)
    assert (answer.status_code, answer.headers["location"]) == (303, request.path)
    assert "code" in sent_to_client(person.open(answer.headers["location"]))


def test_items_95_and_100_state_is_returned_unchanged_and_the_query_of_the_redirect_uri_is_kept(person: Person) -> None:
    state = "a\r\nlocation: https://evil.example/?x=1&y=ä#"
    request = Request("app", {"state": state, "redirect_uri": "https://app.example/callback?tenant=1"})
    sent = person.grant(request)
    assert (sent["state"], sent["tenant"]) == (state, "1")


def test_item_91_prompt_none_is_answered_without_a_page(person: Person) -> None:
    person.grant(Request("app"))
    assert "code" in sent_to_client(person.open(Request("app", {"prompt": "none"}).path))
    more = person.open(Request("app", {"prompt": "none", "scope": "mcp.access mcp.decrypt email"}).path)
    assert sent_to_client(more)["error"] == "consent_required"


def test_prompt_login_and_max_age_ask_for_a_new_sign_in(person: Person) -> None:
    person.grant(Request("app"))
    for changes in ({"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account"}):
        page = person.open(Request("app", changes).path)
        assert Page(page.text).action == "/oauth2/sign-in"
        assert "code" in sent_to_client(person.sign_in(page))


def test_pages_are_in_the_language_of_ui_locales(person: Person) -> None:
    korean = person.open(Request("app", {"ui_locales": "fr ko-KR en"}).path)
    assert '<html lang="ko">' in korean.text
    assert korean.headers["content-language"] == "ko"
    answer = person.http.get("/oauth2/authorize", headers={"accept-language": "de, ko;q=0.8, en;q=0.3"})
    assert "등록되지 않은 앱입니다" in answer.text
    answer = person.open(Request("unknown", {"ui_locales": "ko"}).path)
    assert "등록되지 않은 앱입니다" in answer.text
