"""Attacks on the running services raise alerts in the audit trail."""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import redis
from fastmcp.exceptions import ToolError

from local_stack.demo_scenario import PERSON, ServicesApi
from local_stack.stack import Stack, start_stack

PATIENCE_SECONDS = 60
CALLBACK = "http://127.0.0.1:7777/callback"
THRESHOLDS = {
    "SECURITY_DETECT_REFUSAL_BURST": "8/600",
    "SECURITY_DETECT_SECRET_GUESSING": "3/600",
    "SECURITY_DETECT_PII_VOLUME": "6/600",
    "SECURITY_DETECT_PII_VOLUME_CLIENT": "9/600",
    "SECURITY_DETECT_MANY_SUBJECTS": "2/600",
    "SECURITY_DETECT_TOOL_ENUMERATION": "3/600",
    "AUTH_REFRESH_GRACE_SECONDS": "1",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("watched"), overrides=THRESHOLDS) as running:
        yield running


@pytest.fixture(scope="module")
def trail(stack: Stack) -> Iterator[redis.Redis]:
    password = stack.redis_password("auth")
    with redis.Redis(port=stack.ports.redis, username="auth", password=password, decode_responses=True) as client:
        yield client


@pytest.fixture
def api(stack: Stack) -> Iterator[ServicesApi]:
    with httpx2.Client(timeout=20) as http:
        yield ServicesApi(stack.auth_url, stack.mcp_url, http)


def guess_secrets(api: ServicesApi, _trail: redis.Redis) -> None:
    for _ in range(3):
        assert api.client.request_token(client_secret=secrets.token_urlsafe()).status_code == 401


def call_without_the_scope(api: ServicesApi, _trail: redis.Redis) -> None:
    for _ in range(8):
        asked = {"name": "read_sensitive_data", "arguments": {"record_id": "rec_abcdefgh"}}
        assert api.post_mcp(api.token, "2026-07-28", "tools/call", asked).status_code == 403


def call_many_tools(api: ServicesApi, _trail: redis.Redis) -> None:
    for number in range(3):
        with pytest.raises(ToolError):
            api.call(f"secret_tool_{number}", {})


def process_much_personal_data(api: ServicesApi, _trail: redis.Redis) -> None:
    for _ in range(3):
        api.call("test_pii_detection", {"text": PERSON})


def look_up_many_users(api: ServicesApi, _trail: redis.Redis) -> None:
    for person_id in ("p_hong", "p_kim"):
        api.call("get_user_info", {"person_id": person_id})


def reuse_a_refresh_token(api: ServicesApi, _trail: redis.Redis) -> None:
    """An attacker uses a refresh token that its owner has already used."""
    token = sign_in(api)["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": api.results["client_id"]}
    assert api.http.post(f"{api.auth_url}/oauth2/token", data=form).status_code == 200
    while (answer := api.http.post(f"{api.auth_url}/oauth2/token", data=form)).status_code == 200:
        time.sleep(0.1)  # within the grace period the stored response is repeated
    assert answer.json()["error"] == "invalid_grant"


def remove_events_from_the_stream(_world: ServicesApi, trail: redis.Redis) -> None:
    event = json.loads(trail.xrevrange("audit:events", count=1)[0][1]["event"])
    trail.xadd("audit:events", {"event": json.dumps(event | {"seq": event["seq"] + 5})})


@pytest.mark.parametrize(
    ("attack", "rules"),
    [
        (guess_secrets, {"secret_guessing"}),
        (call_without_the_scope, {"refusal_burst"}),
        (call_many_tools, {"tool_enumeration"}),
        (process_much_personal_data, {"pii_volume_person", "pii_volume_client"}),
        (look_up_many_users, {"many_subjects"}),
        (reuse_a_refresh_token, {"refresh_token_reuse"}),
        (remove_events_from_the_stream, {"journal_gap"}),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_an_attack_raises_its_alert(
    api: ServicesApi, trail: redis.Redis, attack: Callable[[ServicesApi, redis.Redis], None], rules: set[str]
) -> None:
    attack(api, trail)
    raised: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not rules <= raised and time.monotonic() < deadline:
        time.sleep(0.1)
        # The window starts empty: an attack that continues a window of another test would not raise a new alert.
        events = [json.loads(entry["event"]) for _, entry in trail.xrange("audit:events")]
        raised = {event["reason"] for event in events if event["event_type"] == "security_alert"}
    assert rules <= raised


def sign_in(api: ServicesApi) -> dict[str, str]:
    """Registers a desktop client, signs in and allows it. Returns the token response."""
    metadata = {
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    registered = api.http.post(f"{api.auth_url}/oauth2/register", json=metadata)
    api.results["client_id"] = registered.raise_for_status().json()["client_id"]
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "client_id": api.results["client_id"],
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "scope": "mcp.access offline_access",
    }
    answer = api.http.get(f"{api.auth_url}/oauth2/authorize", params=parameters)
    for filled in ({}, {"username": "demo", "password": "demo", "action": "sign_in"}, {"action": "allow"}):
        if filled:
            fields = {
                name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', answer.text)
            }
            action = unescape(re.search(r'<form[^>]* action="([^"]+)"', answer.text)[1])
            answer = api.http.post(f"{api.auth_url}{action}", data=fields | filled)
        while answer.is_redirect and answer.headers["location"].startswith("/"):
            answer = api.http.get(f"{api.auth_url}{answer.headers['location']}")
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
    redeemed = api.http.post(f"{api.auth_url}/oauth2/token", data=form | {"client_id": api.results["client_id"]})
    return redeemed.raise_for_status().json()
