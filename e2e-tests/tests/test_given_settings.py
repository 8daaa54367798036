"""Which settings from the environment `make run` passes to the services, and which ones it derives."""

import os
from pathlib import Path

import pytest

from local_stack.administration import export_lines
from local_stack.errors import StackError
from local_stack.given_settings import SETTINGS_CLASSES, given_settings, without_settings
from local_stack.notices import check_exposure, start_notices
from local_stack.ports import StackPorts
from local_stack.stack import AUTH, GATEWAY, MCP, REDIS, Stack
from local_stack.start_message import start_message
from security_common.setting_names import unknown_setting_notices, variable_names

PORTS = StackPorts()
STATE = Path("/state")


def stack(**settings: str) -> Stack:
    return Stack(PORTS, STATE, given_settings(settings, STATE / "secrets"))


@pytest.mark.parametrize(
    ("service", "variable"),
    [
        (service, variable)
        for service, settings in zip((AUTH, MCP, GATEWAY), SETTINGS_CLASSES, strict=True)
        for variable in variable_names(settings)
        if variable not in {"AUTH_PORT", "MCP_PORT", "GATEWAY_PORT"}
    ],
)
def test_every_setting_is_passed_to_its_service(service: str, variable: str) -> None:
    assert stack(**{variable: "given"}).environment(service)[variable] == "given"


def test_an_empty_variable_does_not_replace_a_derived_setting() -> None:
    assert stack(AUTH_ISSUER="").environment(AUTH)["AUTH_ISSUER"] == "http://localhost:8081"


def test_a_stack_without_given_settings_takes_none_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in SETTINGS_CLASSES:
        for variable in variable_names(settings):
            monkeypatch.setenv(variable, "of the developer")
    own = Stack(PORTS, STATE)
    assert "of the developer" not in {
        value for service in (AUTH, MCP, GATEWAY) for value in own.environment(service).values()
    }


def test_variables_of_the_gateway_are_the_same_for_the_service_and_its_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECORDS_URL", "http://records.internal/mcp")
    own = Stack(PORTS, tmp_path, {"GATEWAY_UPSTREAMS": "deploy/gateway/mcp.json"})
    expected = ["http://records.internal/mcp", "http://localhost:8082/mcp"]
    environment = own.environment(GATEWAY)
    assert [environment["RECORDS_URL"], environment["RECORDS_RESOURCE"]] == expected
    for service in (GATEWAY, None):
        lines = export_lines(own, service).splitlines()
        for name, value in zip(("RECORDS_URL", "RECORDS_RESOURCE"), expected, strict=True):
            assert f"export {name}={value}" in lines


def test_the_environment_without_settings_keeps_everything_else() -> None:
    assert without_settings({"PATH": "/bin", "AUTH_ISSUER": "x", "MCP_X": "y", "SECURITY_Z": "z"}) == {"PATH": "/bin"}
    assert "PATH" in Stack(PORTS, STATE).environment(AUTH)
    assert os.environ["PATH"] == Stack(PORTS, STATE).environment(AUTH)["PATH"]


class TestAddressesFollow:
    def test_the_issuer(self) -> None:
        behind_proxy = stack(AUTH_ISSUER="https://auth.example.com", MCP_RESOURCE="https://mcp.example.com/mcp")
        auth, mcp = behind_proxy.settings(AUTH), behind_proxy.settings(MCP)
        assert auth["AUTH_ISSUER"] == mcp["MCP_ISSUER"] == "https://auth.example.com"
        assert auth["AUTH_RESOURCE"] == mcp["MCP_RESOURCE"] == "https://mcp.example.com/mcp"
        assert mcp["MCP_AUTH_INTERNAL_URL"] == "http://localhost:8081"

    def test_demo_mode_ends_where_the_addresses_are_public(self) -> None:
        for variable, value in (("AUTH_ISSUER", "https://auth.example.com"), ("MCP_RESOURCE", "https://x.example/mcp")):
            public = stack(**{variable: value})
            assert (public.settings(AUTH)["AUTH_DEMO"], public.settings(MCP)["MCP_DEMO"]) == ("false", "false")
            assert not public.in_demo_mode

    def test_demo_mode_is_switched_off_for_both(self) -> None:
        assert stack(AUTH_DEMO="false").settings(MCP)["MCP_DEMO"] == "false"

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "localhost"])
    def test_a_server_on_every_address_is_called_by_localhost(self, host: str) -> None:
        assert stack(AUTH_HOST=host).auth_url == "http://localhost:8081"
        assert "MCP_AUTH_INTERNAL_URL" not in stack(AUTH_HOST=host).settings(MCP)

    @pytest.mark.parametrize(
        ("host", "url"), [("192.0.2.7", "http://192.0.2.7:8081"), ("2001:db8::1", "http://[2001:db8::1]:8081")]
    )
    def test_a_server_on_one_address_is_called_there(self, host: str, url: str) -> None:
        assert stack(AUTH_HOST=host).settings(MCP)["MCP_AUTH_INTERNAL_URL"] == url
        assert stack(AUTH_HOST=host).settings(AUTH)["AUTH_ISSUER"] == "http://localhost:8081"

    def test_the_file_with_the_key_gives_way_to_a_key(self) -> None:
        assert "SECURITY_ENCRYPTION_KEY_FILE" not in stack(SECURITY_ENCRYPTION_KEY="given").settings(MCP)

    def test_another_redis_gets_no_password_of_the_embedded_one(self) -> None:
        other = stack(AUTH_REDIS_URL="redis://r:6379", MCP_REDIS_URL="redis://r:6379")
        assert "AUTH_REDIS_PASSWORD_FILE" not in other.settings(AUTH)
        assert "MCP_REDIS_PASSWORD_FILE" not in other.settings(MCP)
        assert REDIS not in other.servers
        assert REDIS in stack(AUTH_REDIS_URL="redis://r:6379").servers

    def test_a_secret_of_one_service_never_reaches_the_other(self) -> None:
        """As after `eval "$(local-stack env auth)"` in the same shell."""
        printed = Stack(PORTS, STATE).settings(AUTH)
        again = stack(**printed)
        assert again.settings(AUTH) == printed
        own = Stack(PORTS, STATE).settings(MCP)
        assert {name: value for name, value in again.settings(MCP).items() if not name.startswith("AUTH_")} == own


class TestUnknownSettings:
    @pytest.mark.parametrize(
        ("variable", "meant"),
        [
            ("AUTH_ISUER", "AUTH_ISSUER"),
            ("MCP_ALLOWED_HOST", "MCP_ALLOWED_HOSTS"),
            ("SECURITY_TIMEZONE", "SECURITY_TIME_ZONE"),
            ("AUTH_TOKEN_LIFETIME_SECONDS", "AUTH_CODE_LIFETIME_SECONDS"),
        ],
    )
    def test_a_misspelled_one_is_named_with_the_one_that_was_meant(self, variable: str, meant: str) -> None:
        [notice] = start_notices(stack(), {variable: "x"})
        assert notice == f"NOTICE: {variable} is not a setting and has no effect; did you mean {meant}?"

    def test_one_like_no_other_is_named_with_the_page_that_lists_them(self) -> None:
        [notice] = start_notices(stack(), {"MCP_ZZZZ": "x"})
        assert notice == "NOTICE: MCP_ZZZZ is not a setting and has no effect; docs/configuration.md lists the settings"

    def test_known_ones_and_those_of_kubernetes_are_not_named(self) -> None:
        known = {name: "x" for settings in SETTINGS_CLASSES for name in variable_names(settings)}
        links = {
            "AUTH_SERVICE_SERVICE_HOST": "10.0.0.1",
            "AUTH_SERVICE_PORT": "tcp://x",
            "MCP_PORT_8082_TCP": "tcp://x",
        }
        assert unknown_setting_notices(SETTINGS_CLASSES, {**known, **links, "PATH": "/bin"}) == []

    @pytest.mark.parametrize("variable", ["CONTAINER_APP_NAME", "WEBSITE_HOSTNAME"])
    def test_demo_mode_is_refused_on_the_internet(self, variable: str) -> None:
        with pytest.raises(StackError) as refused:
            check_exposure(stack(), {variable: "x"})
        assert "AUTH_DEMO=false" in refused.value.hint
        check_exposure(stack(AUTH_DEMO="false"), {variable: "x"})

    def test_demo_mode_on_every_address_is_announced(self) -> None:
        [notice] = start_notices(stack(MCP_HOST="0.0.0.0"), {})
        assert notice.startswith("NOTICE: demo mode")
        assert list(start_notices(stack(MCP_HOST="0.0.0.0", AUTH_DEMO="false"), {})) == []


@pytest.mark.parametrize(("demo", "named"), [("true", True), ("false", False)])
def test_the_start_message_mentions_the_demo_only_in_demo_mode(demo: str, named: bool) -> None:
    message = start_message(stack(AUTH_DEMO=demo))
    assert ("make demo" in message, "make token" in message, "auth-service client create NAME" in message) == (
        *(named, named),
        not named,
    )


@pytest.mark.parametrize(
    ("locale", "given", "expected"),
    [
        ("ko_KR.UTF-8", {}, "Asia/Seoul"),
        ("en_US.UTF-8", {}, None),
        ("ko_KR.UTF-8", {"SECURITY_TIME_ZONE": "Asia/Tokyo"}, "Asia/Tokyo"),
    ],
)
@pytest.mark.parametrize("service", [AUTH, MCP])
def test_a_korean_locale_sets_the_time_zone_unless_one_is_given(
    monkeypatch: pytest.MonkeyPatch, service: str, locale: str, given: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert stack(**given).environment(service).get("SECURITY_TIME_ZONE") == expected
