"""What `auth-service doctor` says about identity providers."""

import asyncio
from pathlib import Path

import pytest
from openid_provider import CLIENT_SECRET, OpenIdProvider
from provider_users import declare

from auth_service.cli.provider_checks import check_providers
from auth_service.settings import AuthSettings
from security_common.service.doctor import CheckResult


def check(folder: Path, declaration: str, secret: str = CLIENT_SECRET) -> list[CheckResult]:
    (folder / "provider.secret").write_text(secret)
    (folder / "auth.yaml").write_text(declaration)
    return asyncio.run(check_providers(AuthSettings(config=folder / "auth.yaml", issuer="https://auth.example.com")))


def test_a_provider_that_works(provider: OpenIdProvider, tmp_path: Path) -> None:
    results = check(tmp_path, declare(provider))
    assert all(result.ok for result in results)
    assert any("https://auth.example.com/oauth2/callback/company" in str(result) for result in results)
    assert any("accepts the client secret" in str(result) for result in results)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("    allow: [{claim: email, has: boss@example.com}]\n", "reads email"),
        ("    allow: {everyone: true}\n    acr_values: mfa\n", "acr_values is only a wish"),
    ],
)
def test_declarations_that_do_not_protect_are_named(
    provider: OpenIdProvider, tmp_path: Path, more: str, words: str
) -> None:
    rules = "    rules: [{everyone: true, scopes: [mcp.access]}]\n"
    warnings = [result for result in check(tmp_path, declare(provider, more=more + rules)) if result.warning]
    assert any(words in str(result) for result in warnings)
    assert not any(words in str(result) for result in check(tmp_path, declare(provider)))


def test_a_wrong_secret_is_named(provider: OpenIdProvider, tmp_path: Path) -> None:
    failed = [result for result in check(tmp_path, declare(provider), secret="wrong") if not result.ok]
    assert "renew it at the provider" in failed[0].hint


@pytest.mark.parametrize("change", ["/", "x"])
def test_item_e4_both_issuers_are_named(provider: OpenIdProvider, tmp_path: Path, change: str) -> None:
    provider.change_metadata = lambda members: members.update(issuer=members["issuer"] + change)
    failed = [result for result in check(tmp_path, declare(provider)) if not result.ok]
    assert len(failed) == 1
    assert f"'{provider.issuer}{change}', not '{provider.issuer}'" in str(failed[0])


def test_an_unreachable_provider_and_one_without_rules(tmp_path: Path) -> None:
    declaration = declare(OpenIdProvider(port=9), more="    allow: {everyone: true}")
    results = check(tmp_path, declaration)
    assert [result.ok for result in results].count(False) == 1
    assert any(result.warning for result in results)
