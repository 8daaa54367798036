"""Look a person up, send them a message, file a report: three calls, and no personal data reaches the client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local_stack.demo_scenario import ServicesApi
from local_stack.stack import Stack, start_stack
from mcp_resource_service.settings import ResourceSettings
from security_common.settings import SettingInvalid

CLEAR = ("홍길동", "hong@example.com", "010-1234-5678", "01012345678")


@pytest.fixture(scope="module")
def tokenizing_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("stack"), overrides={"MCP_DIRECTORY_POLICY": "tokenize"}) as running:
        yield running


@pytest.fixture
def api(tokenizing_stack: Stack) -> Iterator[ServicesApi]:
    with httpx2.Client(timeout=20) as http:
        yield ServicesApi(tokenizing_stack.auth_url, tokenizing_stack.mcp_url, http)


def answer(api: ServicesApi, tool: str, arguments: dict[str, Any]) -> str:
    """The response as the client receives it."""
    call = {"name": tool, "arguments": arguments}
    return api.post_mcp(api.token, "2026-07-28", "tools/call", call).text


def test_the_documented_example(api: ServicesApi) -> None:
    person = api.call("get_user_info", {"person_id": "p_hong"})
    assert person["phone"].startswith("[PHONE_")
    text = f"안녕하세요 {person['name']}님, 내일 10시에 뵙겠습니다."
    sent = api.call("send_message", {"to": person["phone"], "text": text})
    assert (sent["to"], sent["text"]) == (person["phone"], text)
    report = {"operation_data": f"Sent message {sent['message_id']} to {person['name']}, {person['phone']}"}
    assert api.call("high_security_operation", report)["status"] == "accepted"
    received = json.dumps([person, sent], ensure_ascii=False)
    assert all(value not in received for value in CLEAR)
    outbox = api.call("read_sensitive_data", {"record_id": sent["message_id"]}, scope="mcp.access mcp.decrypt")
    assert json.loads(outbox["data"]) == {"to": "010-1234-5678", "text": "안녕하세요 홍길동님, 내일 10시에 뵙겠습니다."}


def test_the_reveal_is_on_record(api: ServicesApi) -> None:
    person = api.call("get_user_info", {"person_id": "p_hong"})
    api.call("send_message", {"to": person["phone"], "text": f"Hello {person['name']}"})
    events: list[dict[str, Any]] = []
    while not events:  # an event is in the stream shortly after the response
        events = api.call("get_security_audit_log", {"tool_name": "send_message"})["events"]
    assert events[0]["action_taken"] == "executed_with_placeholders"
    assert events[0]["revealed_kinds"] == {"PERSON": 1, "PHONE": 1}


@pytest.mark.parametrize("to", ["[PHONE_2B3C4D]", "[EMAIL_2B3C4D]"])
def test_an_invented_placeholder_is_refused(api: ServicesApi, to: str) -> None:
    refused = answer(api, "send_message", {"to": to, "text": "Hello"})
    assert f"invalid_placeholder: these placeholders for personal data are not valid for you: {to}" in refused


def test_a_placeholder_of_another_kind_is_no_recipient(api: ServicesApi) -> None:
    person = api.call("get_user_info", {"person_id": "p_hong"})
    assert "invalid_recipient: " in answer(api, "send_message", {"to": person["email"], "text": "Hello"})


def test_nothing_is_sent_while_redis_is_stopped(tmp_path: Path) -> None:
    with (
        start_stack(tmp_path / "stack", overrides={"MCP_DIRECTORY_POLICY": "tokenize"}) as stack,
        httpx2.Client(timeout=20) as http,
    ):
        api = ServicesApi(stack.auth_url, stack.mcp_url, http)
        token = api.token
        assert "[PHONE_" in answer(api, "get_user_info", {"person_id": "p_hong"})
        stack.kill("redis")
        call = {"name": "send_message", "arguments": {"to": "010-1234-5678", "text": "Hello"}}
        failed = api.post_mcp(token, "2026-07-28", "tools/call", call).text
        assert "temporarily_unavailable: " in failed
        assert "010-1234-5678" not in failed


def test_placeholders_in_redis_need_the_pseudonym_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECURITY_PSEUDONYM_KEY_FILE", raising=False)
    with pytest.raises(SettingInvalid, match="MCP_DIRECTORY_POLICY=tokenize needs a key"):
        ResourceSettings(directory_policy="tokenize")
