"""Tests of running containers: hardening, settings, secrets, and state that survives `down` and `up`."""

import json

import pytest

from local_stack.compose import Compose
from local_stack.demo_scenario import PERSON, ServicesApi

pytestmark = pytest.mark.compose


@pytest.mark.parametrize("service", ["redis", "auth-service", "mcp-resource-service"])
def test_the_running_container_is_hardened(compose: Compose, service: str) -> None:
    container = compose.inspect(service)
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Init"] is True
    assert 0 < host["PidsLimit"] <= 256
    assert 0 < host["Memory"] <= 512 * 1024 * 1024
    assert container["Config"]["User"] not in {"", "0", "root"}
    assert container["State"]["Health"]["Status"] == "healthy"
    bound = [binding["HostIp"] for bindings in (host["PortBindings"] or {}).values() for binding in bindings]
    assert all(address == "127.0.0.1" for address in bound)


def test_the_auth_service_image_does_not_contain_fastmcp(compose: Compose) -> None:
    code = "import importlib.util as u; print(u.find_spec('fastmcp'), u.find_spec('mcp'))"
    assert compose("exec", "-T", "auth-service", "python", "-c", code).strip() == "None None"


@pytest.mark.parametrize("service", ["auth-service", "mcp-resource-service"])
def test_every_module_in_the_image_is_compiled(compose: Compose, service: str) -> None:
    code = (
        "import importlib.util as u, pathlib as p;"
        "print([str(f) for f in p.Path('/venv/lib').rglob('*.py') if not p.Path(u.cache_from_source(f)).exists()])"
    )
    assert compose("exec", "-T", service, "python", "-c", code).strip() == "[]"


@pytest.mark.parametrize(
    ("service", "command", "shown"),
    [
        ("auth-service", "auth-service user list", "demo"),
        ("auth-service", "auth-service doctor", "ok   redis"),
        ("mcp-resource-service", "mcp-resource-service doctor", "ok   redis"),
        ("mcp-resource-service", "security-common audit tail", ""),
    ],
)
def test_commands_work_without_setting_variables(compose: Compose, service: str, command: str, shown: str) -> None:
    assert shown in compose("exec", "-T", service, *command.split())


def test_a_setting_from_the_shell_is_passed_to_its_service(compose: Compose, api: ServicesApi) -> None:
    metadata = api.http.get(f"{api.auth_url}/.well-known/oauth-authorization-server").json()
    assert metadata["service_documentation"] == "https://docs.example.com/"
    statuses = {
        host: api.http.get(f"{api.mcp_url}/hello", headers={"Host": host}).status_code
        for host in ("host.docker.internal:8082", "elsewhere.example")
    }
    assert statuses == {"host.docker.internal:8082": 401, "elsewhere.example": 421}


def test_each_service_reads_its_own_secrets_only(compose: Compose) -> None:
    listing = {
        name: set(compose("exec", "-T", name, "ls", "/run/secrets").split()) for name in ("redis", "auth-service")
    }
    assert listing["redis"] == {"health_password", "users.acl"}
    assert "signing_key_kek" in listing["auth-service"]
    assert not {"data_keyring", "pseudonym_key", "audit_page_private_key.json"} & listing["auth-service"]


def test_state_survives_down_and_up(compose: Compose, api: ServicesApi) -> None:
    token = api.client.token("mcp.access mcp.decrypt")
    record = api.call("store_sensitive_data", {"data": PERSON, "field": "customer"})["record_id"]
    [made] = json.loads(compose("exec", "-T", "auth-service", "auth-service", "client", "create", "lasting", "--json"))
    keys = api.http.get(f"{api.auth_url}/.well-known/jwks.json").json()
    compose("down")
    compose("up", "--wait")
    assert api.http.get(f"{api.auth_url}/.well-known/jwks.json").json() == keys
    assert api.get("/hello", token).status_code == 200
    call = {"name": "read_sensitive_data", "arguments": {"record_id": record}}
    assert PERSON in api.post_mcp(token, "2025-11-25", "tools/call", call).text
    again = ServicesApi(api.auth_url, api.mcp_url, api.http, (made["client_id"], made["client_secret"]))
    assert again.get("/hello", again.token).status_code == 200


@pytest.mark.parametrize("service", ["auth-service", "mcp-resource-service"])
def test_the_audit_trail_of_a_service_verifies_in_its_container(
    compose: Compose, api: ServicesApi, service: str
) -> None:
    """Each service has its own journal and keys; all services share the stream."""
    api.client.token("mcp.access")
    assert api.get("/hello", "not.a.token").status_code == 401  # an event of the resource service
    verdict = json.loads(compose("exec", "-T", service, "security-common", "audit", "verify", "--json"))
    assert verdict["intact"], verdict
    assert set(verdict["services"]) == {service}
    assert verdict["lines"] > 1
