"""The audit page has texts in Korean and English for every code that an audit event can contain."""

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import security_common
from auth_service.errors import OAuthError
from mcp_resource_service.audit_page.auditors import FormRefused
from mcp_resource_service.audit_page.oauth_sign_in import AuditScopeMissing, SignInFailed
from mcp_resource_service.audit_page.page import ERROR_STATUSES
from mcp_resource_service.audit_page.trail_pages import SessionEnded
from mcp_resource_service.store_errors import QuotaReached
from security_common.audit import Action, EventType, Outcome, Reason, RecordedEvent
from security_common.audit.reading.alerts import RULE_TITLES, Alert, DetectionRule, Language, describe_alert
from security_common.edge import Refusal
from security_common.encryption.errors import EncryptionError
from security_common.fastmcp import UnsecuredComponent
from security_common.pii import PIIKind
from security_common.service.http_errors import HttpErrors
from security_common.settings import Threshold
from security_common.tool_policy.errors import ToolPolicyError

TEXTS: dict[str, dict[str, str]] = json.loads(
    files("mcp_resource_service.audit_page").joinpath("texts.json").read_text(encoding="utf-8")
)
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
EVENT = RecordedEvent(
    event_type=EventType.TOOL_CALL,
    action_taken="executed",
    outcome=Outcome.SUCCESS,
    timestamp=NOW,
    seq=1,
    **dict.fromkeys(("event_id", "journal_id", "prev", "hash", "service"), ""),
)
# The class that carries the reason of a token's refusal as its first argument.
TOKEN_ERROR = "TokenRejected"


def token_rejections() -> Iterator[str]:
    """The reasons that the token verifier gives."""
    for path in Path(str(security_common.__file__)).parent.joinpath("tokens").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == TOKEN_ERROR:
                reason = node.args[0]
                if isinstance(reason, ast.Constant):
                    yield str(reason.value)


def errors_below(kind: type[Any]) -> Iterator[str]:
    for each in kind.__subclasses__():
        # One stops a server from starting, and the others answer requests of which there is no audit event.
        if each is not UnsecuredComponent and each.__module__ != HttpErrors.__module__:
            yield str(each.error)
        yield from errors_below(each)


def test_every_error_code_that_is_recorded_is_a_reason() -> None:
    kinds = (OAuthError, EncryptionError, Refusal, ToolPolicyError)
    raised = {code for kind in kinds for code in errors_below(kind)}
    rejections = set(token_rejections())
    assert rejections >= {"malformed", "expired", "wrong_audience"}
    assert {QuotaReached.error, *rejections, *raised} - set(Reason) == set()


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("reasons", Reason),
        ("events", EventType),
        ("actions", set(Action) - {Action.SIMULATED}),
        ("tasks", ["view", "store", "change", "delete", "download"]),
        ("outcomes", Outcome),
        ("kinds", PIIKind),
    ],
    ids=["reasons", "events", "actions", "tasks", "outcomes", "kinds"],
)
def test_every_code_has_a_text(language: str, group: str, names: Iterable[str]) -> None:
    assert [name for name in names if f"{group}_{name}" not in TEXTS[language]] == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_field_of_an_event_has_a_text(language: str) -> None:
    assert {part.name for part in fields(RecordedEvent) if part.name not in TEXTS[language]} == set()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_alert_has_a_title_and_a_sentence(language: Language) -> None:
    rules = set(DetectionRule)
    assert set(RULE_TITLES) == rules
    for rule in rules:
        event = Alert(rule, "user u_1", 1001, Threshold(1000, 3600), NOW, EVENT).as_event()
        assert RULE_TITLES[rule][language]
        sentence = describe_alert(event, language)
        assert "u_1" in sentence
        assert "1,001" in sentence
        assert ("1시간" in sentence) == (language == "ko" and rule is not DetectionRule.JOURNAL_QUIET)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_error_of_the_page_has_a_text_and_a_hint(language: str) -> None:
    errors = {*ERROR_STATUSES, *(kind.error for kind in (SignInFailed, AuditScopeMissing, FormRefused, SessionEnded))}
    assert {
        error for error in errors for part in ("error", "hint") if f"{part}_{error}" not in TEXTS[language]
    } == set()


def test_both_languages_have_the_same_texts() -> None:
    assert set(TEXTS["ko"]) == set(TEXTS["en"])
    assert all(text.strip() for texts in TEXTS.values() for text in texts.values())
