"""The demo is recorded completely: every call, refusal and token is in the journal and the stream, and no value."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from local_stack.demo_scenario import CLIENT_SECRET, PERSON, run_scenario
from local_stack.stack import Stack, start_stack

SEED_FIELDS = {"timestamp", "event_type", "tool_name", "user_id", "client_id", "contains_pii", "action_taken"}
SHIPPED_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Trail:
    """The journal lines of both services, and the entries of the stream."""

    journal: list[dict[str, Any]]
    stream: list[dict[str, Any]]
    raw: str


def journal_files(stack: Stack) -> list[Path]:
    return sorted(stack.audit_dir.rglob("security_audit.log"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("audited")) as running:
        yield running


@pytest.fixture(scope="module")
def trail(stack: Stack) -> Trail:
    """The audit trail of one complete demo, after everything was shipped."""
    assert all(step.passed for step in run_scenario(stack.auth_url, stack.mcp_url))
    raw = "".join(file.read_text(encoding="utf-8") for file in journal_files(stack))
    journal = [json.loads(line) for line in raw.splitlines()]
    client = redis.Redis(
        port=stack.ports.redis, username="auth", password=stack.redis_password("auth"), decode_responses=True
    )
    with client:
        deadline = time.monotonic() + SHIPPED_WITHIN_SECONDS
        while client.xlen("audit:events") < len(journal) and time.monotonic() < deadline:
            time.sleep(0.05)
        stream = [json.loads(entry["event"]) for _, entry in client.xrange("audit:events")]
    return Trail(journal, stream, raw)


def test_both_services_keep_a_journal(stack: Stack) -> None:
    assert {file.parent.parent.name for file in journal_files(stack)} == {"auth-service", "mcp-resource-service"}


def test_every_line_is_in_the_stream_once(trail: Trail) -> None:
    times = Counter((event["journal_id"], event["seq"]) for event in trail.stream)
    assert set(times.values()) == {1}
    assert {(event["journal_id"], event["seq"]) for event in trail.journal} <= set(times)


def test_every_event_has_the_fields_of_the_demo(trail: Trail) -> None:
    assert all(set(event) >= SEED_FIELDS for event in trail.journal)


def test_calls_refusals_and_tokens_are_recorded(trail: Trail) -> None:
    seen = {
        (event["event_type"], event["tool_name"], event["outcome"], event["action_taken"]) for event in trail.journal
    }
    tools = {(tool, outcome, action) for _, tool, outcome, action in seen}
    assert ("store_sensitive_data", "success", "executed_with_encryption") in tools
    assert ("high_security_operation", "refused", "rejected") in tools
    assert ("test_pii_detection", "success", "executed_observed") in tools
    assert {event["outcome"] for event in trail.journal if event["service"] == "auth-service"} >= {"success", "refused"}
    reasons = {event.get("reason") for event in trail.journal}
    assert {"insufficient_scope", "invalid_client"} <= reasons


def test_every_call_has_a_caller_and_a_source_address(trail: Trail) -> None:
    calls = [event for event in trail.journal if event["tool_name"] and event["outcome"] == "success"]
    assert calls
    for event in calls:
        assert (event["user_id"], event["client_id"], event["source_address"]) == (
            "mcp-client",
            "mcp-client",
            "127.0.0.1",
        )


def test_no_event_contains_a_value_a_token_or_a_secret(trail: Trail, stack: Stack) -> None:
    personal = ["홍길동", "hong@example.com", "010-1234-5678", PERSON]
    made = [file.read_text(encoding="utf-8").strip() for file in stack.secrets.rglob("*") if file.is_file()]
    secrets = [text for text in made if text.isascii() and 20 < len(text) < 100]
    assert len(secrets) >= 8
    whole = trail.raw + json.dumps(trail.stream, ensure_ascii=False)
    assert not [value for value in [*personal, *secrets, "eyJ", f'"{CLIENT_SECRET}"'] if value in whole]
