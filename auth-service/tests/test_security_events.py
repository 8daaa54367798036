"""Every security event is recorded: each is caused, then looked up in the stream."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from bad_input import demo
from document_host import offline_fetcher
from running_auth import Service, StartService, free_port, serving
from signing_in import CALLBACK, Person, Request, redeem, refresh

from auth_service.settings import AuthSettings
from security_common.settings import SecuritySettings

WANTED = {"scope": "openid offline_access mcp.access"}


def events(redis_url: str, wanted: Callable[[dict[str, Any]], bool]) -> set[tuple[str, str | None]]:
    """Type and reason of the matching events in the stream."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as stored:
        found = [json.loads(entry["event"]) for _id, entry in stored.xrange("audit:events")]
    return {(event["event_type"], event.get("reason")) for event in found if wanted(event)}


def wait_for(redis_url: str, expected: set[tuple[str, str | None]], wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Events reach the stream shortly after the journal."""
    deadline = time.monotonic() + 60
    while True:
        found = events(redis_url, wanted)
        if expected <= found:
            return
        assert time.monotonic() < deadline, f"{expected - found} is not in {found}"
        time.sleep(0.02)


def tokens_of(person: Person) -> dict[str, Any]:
    request = Request("app", WANTED)
    return redeem(person.http, request, person.grant(request)["code"]).json()


def wrong_secret(person: Person, times: int = 1) -> None:
    for _ in range(times):
        person.http.post("/oauth2/token", data=demo(client_secret="x"))


def wrong_secret_elsewhere(person: Person) -> None:
    person.http.post("/oauth2/introspect", data={"token": "x"}, auth=("mcp-client", "x"))


def unknown_client(person: Person) -> None:
    person.http.post("/oauth2/revoke", data={"token": "x"}, auth=("unknown", "x"))


def wrong_password(person: Person, times: int = 1) -> None:
    page = person.open(Request("app").path)
    for _ in range(times):
        page = person.sign_in(page, password="wrong")


def code_twice(person: Person) -> None:
    request = Request("app")
    code = person.grant(request)["code"]
    for _ in range(2):
        redeem(person.http, request, code)


def guessed_codes(person: Person) -> None:
    for number in range(60):
        redeem(person.http, Request("app"), f"guess {number}")


def token_of_another(person: Person) -> None:
    refresh(person.http, "other", tokens_of(person)["refresh_token"])


def registrations(person: Person) -> None:
    for _ in range(32):
        person.http.post("/oauth2/register", json={"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"})


def revoked(person: Person) -> None:
    person.http.post("/oauth2/revoke", data={"token": tokens_of(person)["refresh_token"], "client_id": "app"})


def sign_out(person: Person) -> None:
    person.http.get("/oauth2/logout", params={"id_token_hint": tokens_of(person)["id_token"]})


def denied(person: Person) -> None:
    person.submit(person.open(Request("app").path), action="cancel")


def scope_not_allowed(person: Person) -> None:
    person.http.post("/oauth2/token", data=demo(scope="mcp.audit"))


CAUSES: tuple[tuple[Callable[[Person], object], str, str | None], ...] = (
    (wrong_secret, "client_refused", "invalid_client"),
    (wrong_secret_elsewhere, "client_refused", "invalid_client"),
    (unknown_client, "client_refused", "invalid_client"),
    (lambda person: wrong_secret(person, 15), "client_refused", "too_many_failures"),
    (scope_not_allowed, "token_refused", "invalid_scope"),
    (wrong_password, "sign_in_refused", "wrong_password"),
    (lambda person: wrong_password(person, 7), "sign_in_refused", "too_many_failures"),
    (tokens_of, "sign_in", None),
    (tokens_of, "consent_given", "openid offline_access mcp.access"),
    (tokens_of, "code_issued", None),
    (tokens_of, "token_issued", None),
    (denied, "consent_denied", "denied"),
    (code_twice, "code_reuse", "family_revoked"),
    (guessed_codes, "token_refused", "invalid_grant"),
    (guessed_codes, "token_refused", "temporarily_unavailable"),
    (token_of_another, "refresh_reuse", "other_client"),
    (revoked, "token_revoked", None),
    (sign_out, "logout", None),
    (registrations, "client_registered", None),
    (registrations, "registration_refused", "temporarily_unavailable"),
)


@pytest.mark.parametrize(("cause", "event_type", "reason"), CAUSES)
def test_each_security_event_is_recorded(
    people: Service, person: Person, cause: Callable[[Person], object], event_type: str, reason: str | None
) -> None:
    with redis.Redis.from_url(people.settings.redis_url) as stored:
        # Consent is asked for again.
        stored.delete(*stored.keys("auth:consent:*"), "nothing")
    cause(person)
    source = person.http.headers["x-forwarded-for"]
    wait_for(people.settings.redis_url, {(event_type, reason)}, lambda event: event.get("source_address") == source)


def test_late_reuse_of_a_refresh_token_is_recorded(people: Service, person: Person) -> None:
    first = tokens_of(person)["refresh_token"]
    refresh(person.http, "app", first)
    with redis.Redis.from_url(people.settings.redis_url) as stored:
        stored.delete(*stored.keys("auth:refresh-response:*"))
    refresh(person.http, "app", first)
    source = person.http.headers["x-forwarded-for"]
    expected = {("refresh_reuse", "rotated_before")}
    wait_for(people.settings.redis_url, expected, lambda event: event.get("source_address") == source)


def test_events_of_the_service_itself_are_recorded(start_service: StartService, own_redis: Any) -> None:
    url, _client = own_redis
    service = start_service(redis_url=url)
    fingerprint = service.app.state.parts.declaration.fingerprint
    wait_for(url, {("declaration_applied", fingerprint)}, lambda _: True)
    (keys,) = {reason for kind, reason in events(url, lambda _: True) if kind == "key_change"}
    assert keys is not None
    assert [part.partition("=")[0] for part in keys.split()] == ["active", "next"]


def test_recorded_refusals_are_limited(people: Service, person: Person) -> None:
    """Refusals after the first 120 of a minute are not recorded, except for one event that reports this."""
    wrong_secret(person, 300)
    source = person.http.headers["x-forwarded-for"]
    mine = [event for event in journal_of(people.settings) if event.get("source_address") == source]
    # The requests may span several minutes, and 120 refusals are recorded in each.
    assert 120 <= len(mine) < 300
    assert "rest_of_minute_unrecorded" in {event.get("reason") for event in mine}


def journal_of(settings: AuthSettings) -> list[dict[str, Any]]:
    paths = settings.security.audit_dir.rglob("security_audit.log")
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def test_many_invalid_requests_do_not_prevent_the_recording_of_wrong_secrets(people: Service, person: Person) -> None:
    for _ in range(300):
        person.http.post("/oauth2/token", data={"grant_type": "password"})
    wrong_secret(person, 3)
    source = person.http.headers["x-forwarded-for"]
    mine = [event for event in journal_of(people.settings) if event.get("source_address") == source]
    wrong = [event["reason"] for event in mine if event["event_type"] == "client_refused"]
    assert wrong == ["invalid_client"] * 3
    noise = sum(event["event_type"] == "token_refused" for event in mine)
    assert 120 <= noise < 300


def test_the_number_of_unrecorded_refusals_is_recorded_when_the_service_stops(
    tmp_path: Path, own_redis: Any, secret_files: dict[str, Path]
) -> None:
    url, _client = own_redis
    port = free_port()
    settings = AuthSettings(
        issuer=f"http://localhost:{port}",
        port=port,
        redis_url=url,
        demo=True,
        security=SecuritySettings(audit_dir=tmp_path),
        **secret_files,  # type: ignore[arg-type]
    )
    # The minute of this clock does not end, so that the bounds are those of one minute.
    with serving(settings, clock=lambda: 60.0, fetcher=offline_fetcher()):
        for _ in range(130):
            httpx2.post(f"http://127.0.0.1:{port}/oauth2/token", data={"grant_type": "password"})
    unrecorded = [event for event in journal_of(settings) if event["action_taken"] == "refused_unrecorded"]
    assert [(event["event_type"], event["reason"]) for event in unrecorded] == [("token_refused", "10_more")]
