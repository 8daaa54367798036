"""Secrets: passwords, keys, tokens, connection strings, webhooks, and the texts that only mention them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import PIIKind, get_pii_detector
from security_common.pii.placeholder_values import is_placeholder

detector = get_pii_detector()


def _lines(name: str) -> list[str]:
    lines = Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("\\-", "").replace("\\n", "\n") for line in lines if not line.startswith("# ")]


def _parts(marked: str) -> tuple[str, list[str]]:
    """The text without marks, and the secrets between them."""
    secrets = [piece.partition("»")[0] for piece in marked.split("«")[1:]]
    return marked.replace("«", "").replace("»", ""), secrets


def _secrets(text: str) -> list[str]:
    return [text[found.start : found.end] for found in detector.scan_text(text) if found.kind is PIIKind.SECRET]


@pytest.mark.parametrize("marked", _lines("texts_with_secrets"))
def test_a_secret_is_found_and_masked_as_a_whole(marked: str) -> None:
    text, secrets = _parts(marked)

    assert _secrets(text) == secrets
    masked = detector.mask_text(text)
    assert not any(secret in masked for secret in secrets)
    assert detector.mask_text(masked) == masked


@pytest.mark.parametrize("text", _lines("texts_without_secrets"))
def test_a_text_that_only_mentions_secrets_has_none(text: str) -> None:
    assert _secrets(text) == []


_NAMES = st.sampled_from(
    ["password", "pw", "비번", "DB_PASSWORD", "userPassword", "api_key", "API 키", "client-secret"]
)
_CONNECTORS = st.sampled_from(
    [": {}", "={}", ': "{}"', "='{}'", " = {}\nnext", ": {}, ok", "={}&user=a", "={};Database=b"]
)
_RANDOM = st.text("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=12, max_size=40).filter(
    lambda value: any(map(str.isdigit, value)) and any(map(str.isalpha, value))
)


@given(_NAMES, _CONNECTORS, _RANDOM)
def test_a_random_value_behind_a_name_is_found_exactly(name: str, connector: str, value: str) -> None:
    assert _secrets(name + connector.format(value)) == [value]


@pytest.mark.parametrize(
    "value",
    [
        "****",
        "xxxxxxxx",
        "<password>",
        "${DB_PASSWORD}",
        "$DB_PASSWORD",
        "{{ password }}",
        "%(password)s",
        "your-api-key-here",
        "YOUR_API_KEY",
        "my-secret-token",
        "changeme",
        "os.environ[",
        "settings.password",
        "DB_PASSWORD",
        "/run/secrets/db_password",
        "https://example.com/token",
        "sha256:9f86d081",
        "[REDACTED]",
        "sk-abc...",
    ],
)
def test_a_placeholder_is_recognized(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    ["!QAZ2wsx", "$ecret123", "hunter", "correct-horse-battery", "P@ss(1)", "/9j4AAQSk", "changeme2026", "x1x2x3"],
)
def test_a_value_that_somebody_chose_is_no_placeholder(value: str) -> None:
    assert not is_placeholder(value)
