"""`auth-service provider try`: what works, what to register, and what claims would lead to."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from provider_users import USUAL_RULES, declare
from starlette.responses import JSONResponse

from auth_service.cli import main

ISSUER = "https://auth.example.com"
Try = Callable[..., tuple[list[dict[str, Any]], str]]


@pytest.fixture
def try_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Try:
    """Runs the command; returns its results, and what it printed on stderr."""

    def run(declaration: str, *words: str, provider_id: str = "company") -> tuple[list[dict[str, Any]], str]:
        (tmp_path / "auth.yaml").write_text(declaration)
        if not (tmp_path / "provider.secret").exists():
            (tmp_path / "provider.secret").write_text(CLIENT_SECRET)
        monkeypatch.setenv("AUTH_CONFIG", str(tmp_path / "auth.yaml"))
        monkeypatch.setenv("AUTH_ISSUER", ISSUER)
        monkeypatch.setattr(sys, "argv", ["auth-service", "provider", "try", provider_id, *words, "--json"])
        with suppress(SystemExit):  # status 1 if something is wrong
            main()
        printed = capsys.readouterr()
        return json.loads(printed.out or "[]"), printed.err

    return run


def failures(results: list[dict[str, Any]]) -> list[str]:
    return [f"{result['what']} | {result['hint']}" for result in results if not result["ok"]]


def write_claims(folder: Path, **claims: object) -> str:
    (folder / "claims.json").write_text(json.dumps({"sub": "person-1", **claims}))
    return str(folder / "claims.json")


def test_a_provider_that_works(provider: OpenIdProvider, try_provider: Try) -> None:
    provider.change_metadata = lambda members: members.update(backchannel_logout_supported=True)
    results, _ = try_provider(declare(provider))
    assert failures(results) == []
    text = "\n".join(result["what"] for result in results)
    for part in (
        f"callback URL {ISSUER}/oauth2/callback/company",
        f"back-channel logout is {ISSUER}/oauth2/backchannel-logout/company",
        "it reports sign-outs",
        "scopes openid profile email offline_access",
        "it accepts the client secret or key",
    ):
        assert part in text


def test_a_wrong_secret(provider: OpenIdProvider, try_provider: Try, tmp_path: Path) -> None:
    (tmp_path / "provider.secret").write_text("wrong")
    (failure,) = failures(try_provider(declare(provider))[0])
    assert "refused this service's client (invalid_client)" in failure
    assert "renew it at the provider" in failure


def test_the_address_for_scim(provider: OpenIdProvider, try_provider: Try, tmp_path: Path) -> None:
    (tmp_path / "scim.token").write_text("token-of-the-provider-" * 2)
    results, _ = try_provider(declare(provider, more=USUAL_RULES + "    scim: {token_file: scim.token}\n"))
    assert failures(results) == []
    assert any(f"SCIM is {ISSUER}/scim/v2, and externalId must have" in result["what"] for result in results)


@pytest.mark.parametrize("error", ["invalid_request", "unsupported_grant_type"])
def test_an_answer_that_says_nothing_about_the_secret(provider: OpenIdProvider, try_provider: Try, error: str) -> None:
    provider.token_error = error
    results, _ = try_provider(declare(provider))
    assert failures(results) == []
    (warning,) = [result for result in results if result["warning"]]
    assert error in warning["what"]
    assert "callback URL" in warning["hint"]


def test_a_provider_that_does_not_answer(try_provider: Try) -> None:
    (failure,) = failures(try_provider(declare(OpenIdProvider(port=9)))[0])
    assert "does not answer" in failure
    assert "ca_file" in failure


def test_metadata_without_keys(provider: OpenIdProvider, try_provider: Try) -> None:
    provider.change_metadata = lambda members: JSONResponse({**members, "jwks_uri": "ftp://x"})
    (failure,) = failures(try_provider(declare(provider))[0])
    assert "jwks_uri" in failure


CLAIMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "user": ({"groups": ["staff"], "name": "Hong"}, ["the person is 'person-1', shown as 'Hong'", "may sign in"]),
    "scopes": ({"groups": ["staff", "clear"]}, ["mcp.access mcp.decrypt", "rule 3", "does not give role auditor"]),
    "role": ({"groups": ["audit"]}, ["with the roles auditor", "mcp.audit"]),
    "text": ({"groups": "staff"}, ["may sign in"]),
    "allowed without a rule": ({"groups": ["guest"]}, ["may allow apps nothing"]),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_what_claims_lead_to(provider: OpenIdProvider, try_provider: Try, tmp_path: Path, case: str) -> None:
    claims, expected = CLAIMS[case]
    results, _ = try_provider(declare(provider), "--claims", write_claims(tmp_path, **claims))
    assert failures(results) == []
    text = "\n".join(result["what"] for result in results)
    for part in expected:
        assert part in text


MFA = """
    allow: {everyone: true}
    require: [{claim: amr, has: mfa}]
    rules: [{everyone: true, scopes: [mcp.access]}]
"""

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another group": ({"groups": ["others"]}, "groups has 'staff' (the claims have 'others')"),
    "no group": ({}, "the claims have no value"),
    "groups left out": ({"hasgroups": True}, "use app roles"),
    "too many groups": ({"groups": [str(number) for number in range(1001)]}, "more than 1000 values"),
    "no subject": ({"sub": "", "groups": ["staff"]}, "sub is missing"),
    "another issuer": ({"iss": "https://sso.example.com", "groups": ["staff"]}, "iss is 'https://sso.example.com'"),
    "another client": ({"aud": ["x"], "groups": ["staff"]}, f"not '{CLIENT_ID}'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_claims_that_are_refused(provider: OpenIdProvider, try_provider: Try, tmp_path: Path, case: str) -> None:
    claims, expected = REFUSED[case]
    results, _ = try_provider(declare(provider), "--claims", write_claims(tmp_path, **claims))
    assert any(expected in failure for failure in failures(results)), results


def test_a_requirement(provider: OpenIdProvider, try_provider: Try, tmp_path: Path) -> None:
    declaration = declare(provider, more=MFA)
    (failure,) = failures(try_provider(declaration, "--claims", write_claims(tmp_path, amr=["pwd"]))[0])
    assert "require needs all of: amr has 'mfa' (the claims have 'pwd')" in failure
    assert failures(try_provider(declaration, "--claims", write_claims(tmp_path, amr=["mfa"]))[0]) == []


@pytest.mark.parametrize("content", ["", "[]", "eyJhbGciOiJSUzI1NiJ9.e30.x", '{"a": 1, "a": 2}', None])
def test_a_file_that_cannot_be_used(
    provider: OpenIdProvider, try_provider: Try, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "claims.json").write_text(content)
    results, error = try_provider(declare(provider), "--claims", str(tmp_path / "claims.json"))
    assert results == []
    assert "hint: it must be a JSON object" in error
    assert "eyJ" not in error


def test_an_unknown_provider(provider: OpenIdProvider, try_provider: Try) -> None:
    _, error = try_provider(declare(provider), provider_id="other")
    assert "there is no identity provider other" in error
    assert "auth.yaml declares: company" in error
