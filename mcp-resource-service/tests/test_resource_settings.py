"""Invalid settings are refused at start, with the name of the variable."""

import traceback

import pytest

from local_stack.command_server import run_command
from mcp_resource_service.settings import ResourceSettings
from security_common.settings import SettingInvalid


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("issuer", "http://localhost:8081/"),
        ("issuer", "http://auth.example.com"),
        ("issuer", "localhost:8081"),
        ("resource", "http://localhost:8082"),
        ("resource", "http://localhost:8082/mcp/"),
        ("resource", "https://mcp.example.com/mcp?x=1"),
        ("auth_internal_url", "http://auth-service:8081/"),
        ("trusted_proxies", "not-an-address"),
    ],
)
def test_an_invalid_value_is_refused(variable, value):
    with pytest.raises(SettingInvalid) as failure:
        ResourceSettings(**{variable: value})
    assert failure.value.description.startswith(f"MCP_{variable.upper()}: ")


def test_demo_mode_requires_loopback_addresses():
    with pytest.raises(SettingInvalid, match=r"^MCP_DEMO adds"):
        ResourceSettings(demo=True, issuer="https://auth.example.com")


def test_the_internal_url_can_be_plain_http():
    settings = ResourceSettings(issuer="https://auth.example.com", auth_internal_url="http://auth-service:8081")
    assert settings.auth_internal_url == "http://auth-service:8081"


def test_lists_are_parsed_from_the_environment(monkeypatch):
    monkeypatch.setenv("MCP_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")
    monkeypatch.setenv(
        "MCP_TRUSTED_ISSUERS", '[{"issuer": "https://login.example.com/v2", "audience": "api://x", "typ": ["JWT"]}]'
    )
    settings = ResourceSettings()
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "192.0.2.1/32"]
    assert settings.trusted_issuers[0].token_types == ("JWT",)


def test_a_trusted_issuer_keeps_its_trailing_slash(monkeypatch):
    monkeypatch.setenv("MCP_TRUSTED_ISSUERS", '[{"issuer": "https://tenant.eu.auth0.com/", "audience": "api://mcp"}]')
    assert ResourceSettings().trusted_issuers[0].issuer == "https://tenant.eu.auth0.com/"


def test_mcp_issuer_is_refused_as_a_trusted_issuer():
    entry = {"issuer": "http://localhost:8081", "audience": "x"}
    with pytest.raises(SettingInvalid, match="MCP_TRUSTED_ISSUERS contains MCP_ISSUER"):
        ResourceSettings(trusted_issuers=[entry])


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MCP_ISSUER", "http://localhost:8081/", "must not end in a slash"),
        ("SECURITY_TIME_ZONE", "Asia/Soul", "invalid timezone: Asia/Soul"),
        ("SECURITY_TIME_ZONE", "Asia", "invalid timezone: Asia"),
        ("SECURITY_AUDIT_RETENTION_DAYS", "0", "Input should be greater than or equal to 1"),
    ],
)
def test_serve_names_the_variable_with_an_invalid_value(variable, value, message):
    completed = run_command("mcp-resource-service", "serve", environment={variable: value})
    assert completed.returncode == 1
    assert completed.stderr.startswith(f"error: {variable}: {message}")
    assert completed.stderr.endswith("hint: docs/configuration.md describes every setting\n")


def test_serve_names_the_invalid_member_of_a_trusted_issuer():
    issuers = '[{"issuer": "https://login.example", "audience": "x", "algorithms": "HS256"}]'
    completed = run_command("mcp-resource-service", "serve", environment={"MCP_TRUSTED_ISSUERS": issuers})
    assert completed.returncode == 1
    error, hint = completed.stderr.splitlines()
    assert error.startswith("error: MCP_TRUSTED_ISSUERS: entry 1: algorithms: must be a list of RS256, PS256, ES256")
    assert hint.startswith("hint: docs/trusted-issuers.md")


def test_the_error_for_invalid_json_does_not_contain_the_value():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MCP_TRUSTED_ISSUERS", '[{"issuer": "hong@example.com')
        with pytest.raises(SettingInvalid, match=r"^MCP_TRUSTED_ISSUERS: .*line 1, column 13") as failure:
            ResourceSettings()
    assert "hong" not in "".join(traceback.format_exception(failure.value))
