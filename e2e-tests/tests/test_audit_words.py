"""The audit page has words in both languages for what a record may say: why it was refused, and what it held."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import auth_service.app
import mcp_resource_service.app
import security_common
from auth_service.errors import OAuthError
from mcp_resource_service.audit_page.oauth_sign_in import NoAuditor, SignInFailed
from mcp_resource_service.audit_page.routes import STATUS_OF
from mcp_resource_service.audit_page.trail_export import MEDIA_TYPES
from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading import detection_rules
from security_common.audit.reading.alerts import (
    ALERT_EVENT_TYPE,
    QUIET_RULE,
    RULE_TITLES,
    Alert,
    Language,
    describe_alert,
)
from security_common.audit.refusal_limits import REST_UNRECORDED
from security_common.audit.segment_retention import REMOVAL_EVENT_TYPE
from security_common.edge import Refusal
from security_common.encryption.errors import EncryptionError
from security_common.fastmcp import UnsecuredComponent
from security_common.pii import PIIKind
from security_common.settings import SecuritySettings, Threshold
from security_common.tool_policy.errors import ToolPolicyError
from security_common.tool_policy.policy import Treatment, name_action

TEXTS: dict[str, dict[str, str]] = json.loads(
    files("mcp_resource_service.audit_page").joinpath("texts.json").read_text(encoding="utf-8")
)
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
EVENT = RecordedEvent(
    event_type="tool_call",
    action_taken="executed",
    outcome=Outcome.SUCCESS,
    timestamp=NOW,
    seq=1,
    **dict.fromkeys(("event_id", "journal_id", "prev", "hash", "service"), ""),
)
# Where a code is written down: the error of a token, and the calls that record a refusal.
TELLING = {"TokenRejected": 0, "_record_refusal": 2, "_revoke": 2}


def recorded_literals() -> Iterator[str]:
    """The codes that stand in the calls themselves."""
    for package in (security_common, auth_service, mcp_resource_service):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                told = node.args[TELLING[name] :][:1] if name in TELLING else []
                told += [each.value for each in node.keywords if each.arg == "reason" and name == "AuditEvent"]
                yield from (each.value for part in told for each in ast.walk(part) if is_code(each))


def is_code(node: ast.AST) -> Any:
    return isinstance(node, ast.Constant) and re.fullmatch("[a-z][a-z_]*[a-z]", str(node.value))


def written(*members: str) -> Iterator[str]:
    """The values of these keywords, and what operators' commands give as the name of their change."""
    for package in (security_common, auth_service, mcp_resource_service):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg in members:
                    yield from (each.value for each in ast.walk(node.value) if is_code(each))
                elif isinstance(node, ast.Call) and "action" in members:
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    at = {"_change": 1, "_swap": 0, "_record": 2}.get(name, 0 if on_record(node) else None)
                    told = node.args[at:][:1] if at is not None else []
                    yield from (each.value for part in told for each in ast.walk(part) if is_code(each))


def on_record(node: ast.Call) -> bool:
    return ast.unparse(node.func) == "operator.record"


def errors_below(kind: type[Any]) -> Iterator[str]:
    for each in kind.__subclasses__():
        if each is not UnsecuredComponent:  # it stops a server from starting
            yield str(each.error)
        yield from errors_below(each)


def codes() -> set[str]:
    raised = {code for kind in (OAuthError, EncryptionError, Refusal, ToolPolicyError) for code in errors_below(kind)}
    return {*recorded_literals(), *raised, REST_UNRECORDED}


def test_the_codes_are_found() -> None:
    assert codes() >= {
        *("expired", "wrong_audience", "malformed", "insufficient_scope", "too_many_requests", "personal_data_refused"),
        *("unknown_component", "invalid_arguments", "wrong_password", "too_many_failures", "invalid_client"),
        *("rotated_before", "invalid_grant", "decryption_failed"),
    }


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_reason_has_words(language: str) -> None:
    assert {code for code in codes() if f"reasons_{code}" not in TEXTS[language]} == set()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_alert_has_a_title_and_a_sentence(language: Language) -> None:
    rules = {QUIET_RULE, *(rule.name for rule in detection_rules(SecuritySettings()))}
    assert set(RULE_TITLES) == rules
    for rule in rules:
        event = Alert(rule, "user u_1", 1001, Threshold(1000, 3600), NOW, EVENT).as_event()
        assert RULE_TITLES[rule][language]
        sentence = describe_alert(event, language)
        assert "u_1" in sentence
        assert "1,001" in sentence
        assert ("1시간" in sentence) == (language == "ko" and rule != QUIET_RULE)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_outcome_has_words(language: str) -> None:
    assert {each for each in Outcome if f"outcomes_{each}" not in TEXTS[language]} == set()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_kind_of_personal_data_and_every_part_of_a_record_has_words(language: str) -> None:
    assert {kind for kind in PIIKind if f"kinds_{kind}" not in TEXTS[language]} == set()
    assert {part.name for part in fields(RecordedEvent) if part.name not in TEXTS[language]} == set()


def actions() -> set[str]:
    """What `action_taken` may be; the treatments and the journal's own stories are no keywords where they are made."""
    journal = {"opened", "continued", "recovered", "succeeded"}
    exported = {f"exported_{name}" for name in MEDIA_TYPES}
    treated = {name_action(treatments) for treatments in (set(), *({each} for each in Treatment))}
    return {*written("action", "action_taken"), *journal, *exported, *treated}


def test_the_events_and_actions_are_found() -> None:
    assert {*written("event_type")} >= {"tool_call", "access_refused", "operator_change", "audit_page"}
    assert actions() >= {
        "executed_with_masking",
        "user_added",
        "user_disabled",
        "key_rotated",
        "viewed_event",
        "issued",
    }


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_event_action_and_task_has_words(language: str) -> None:
    events = {*written("event_type"), ALERT_EVENT_TYPE, REMOVAL_EVENT_TYPE}
    named = {"events": events, "actions": actions(), "tasks": {"view", "store", "change", "delete", "download"}}
    known = TEXTS[language]
    assert [
        f"{group}_{each}" for group, names in named.items() for each in names if f"{group}_{each}" not in known
    ] == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_went_wrong_on_the_page_is_told_with_what_to_do(language: str) -> None:
    errors = {*STATUS_OF, SignInFailed.error, NoAuditor.error}
    assert {
        error for error in errors for part in ("error", "hint") if f"{part}_{error}" not in TEXTS[language]
    } == set()


def test_both_languages_have_the_same_texts() -> None:
    assert set(TEXTS["ko"]) == set(TEXTS["en"])
    assert all(text.strip() for texts in TEXTS.values() for text in texts.values())
