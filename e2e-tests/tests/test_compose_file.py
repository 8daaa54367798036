"""compose.yaml contains every hardening option that the documentation promises."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from local_stack.compose_settings import env_files
from local_stack.given_settings import SETTINGS_CLASSES
from security_common.setting_names import secret_variable_names, variable_names
from security_common.settings import SecuritySettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["auth-service", "mcp-resource-service", "gateway-service"]
LASTING = ["redis", *OURS]
# Variables of deploy/gateway/mcp.json, which are not settings.
OF_UPSTREAMS = {"RECORDS_URL", "RECORDS_RESOURCE"}


def volumes(service: str) -> dict[str, tuple[str, bool]]:
    """Named volume → mount path, and whether it is mounted read-only."""
    parts = [mount.split(":") for mount in SERVICES[service]["volumes"]]
    return {name: (target, mode == ["ro"]) for name, target, *mode in parts}


@pytest.mark.parametrize("name", list(SERVICES))
class TestEveryContainer:
    def test_runs_as_nobody_in_particular(self, name: str) -> None:
        user, group = SERVICES[name]["user"].split(":")
        assert int(user) > 0
        assert int(group) > 0

    def test_has_a_read_only_file_system(self, name: str) -> None:
        assert SERVICES[name]["read_only"] is True

    def test_has_no_capability_and_gains_none(self, name: str) -> None:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert "cap_add" not in SERVICES[name]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in SERVICES[name]

    def test_is_limited(self, name: str) -> None:
        assert 0 < SERVICES[name]["pids_limit"] <= 256
        assert re.fullmatch(r"\d+m|\$\{MEMORY_[A-Z]+:-\d+m\}", SERVICES[name]["mem_limit"])

    def test_has_an_init(self, name: str) -> None:
        assert SERVICES[name]["init"] is True

    def test_takes_no_secret_from_the_environment(self, name: str) -> None:
        for variable, value in SERVICES[name].get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|KEY|PEPPER", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/run/secrets/")

    def test_mounts_no_folder_of_the_host(self, name: str) -> None:
        assert set(volumes(name)) <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", LASTING)
class TestEveryServer:
    def test_is_healthy_only_when_ready(self, name: str) -> None:
        test = " ".join(SERVICES[name]["healthcheck"]["test"])
        if name == "redis":
            assert "REDISCLI_AUTH" in test
            assert "grep -qx PONG" in test
        else:
            assert "python" in test
            assert "/readyz" in test

    def test_waits_for_what_it_needs(self, name: str) -> None:
        needed = SERVICES[name]["depends_on"]
        assert needed["setup"]["condition"] == "service_completed_successfully"
        others = set(needed) - {"setup"}
        assert all(needed[other]["condition"] == "service_healthy" for other in others)
        expected: dict[str, set[str]] = {
            "redis": set(),
            "auth-service": {"redis"},
            "mcp-resource-service": {"redis", "auth-service"},
            "gateway-service": {"redis", "auth-service", "mcp-resource-service"},
        }
        assert others == expected[name]

    def test_has_time_to_stop(self, name: str) -> None:
        assert re.fullmatch(r"\d\ds", SERVICES[name]["stop_grace_period"])

    def test_reads_its_own_secrets_only(self, name: str) -> None:
        own = {
            "redis": "secrets-redis",
            "auth-service": "secrets-auth",
            "mcp-resource-service": "secrets-mcp",
            "gateway-service": "secrets-gateway",
        }[name]
        secrets = {volume: mount for volume, mount in volumes(name).items() if volume.startswith("secrets-")}
        assert secrets == {own: ("/run/secrets", True)}

    def test_uses_no_option_that_old_engines_lack(self, name: str) -> None:
        assert "start_interval" not in SERVICES[name]["healthcheck"]


@pytest.mark.parametrize("name", OURS)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert SERVICES[name]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_redis_publishes_no_port() -> None:
    assert "ports" not in SERVICES["redis"]
    assert SERVICES["redis"]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"]["internal"] is True


def test_redis_persists_acknowledged_writes() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    for option in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "--aclfile"):
        assert option in command


def test_redis_refuses_writes_before_its_container_is_out_of_memory() -> None:
    """Enough memory remains for the audit stream and for copied pages while the append-only file is rewritten."""
    command = " ".join(SERVICES["redis"]["command"])
    match = re.search(r"--maxmemory (\d+)mb", command)
    assert match
    maxmemory_mib, container_mib = int(match[1]), int(SERVICES["redis"]["mem_limit"].removesuffix("m"))
    stream_mib = SecuritySettings().audit_stream_max_bytes / 1024 / 1024
    assert stream_mib <= maxmemory_mib / 2
    assert maxmemory_mib <= container_mib * 0.7


def test_the_redis_of_the_azure_template_has_the_same_memory_limit() -> None:
    text = (ROOT / "deploy/azure/main.bicep").read_text(encoding="utf-8")
    match = re.search(r"'--maxmemory', '(\d+)mb', '--maxmemory-policy', 'noeviction'\s+\]\s+resources: .*'1Gi'", text)
    assert match is not None
    assert int(match[1]) <= 1024 * 0.7


def test_setup_runs_once_and_alone() -> None:
    assert SERVICES["setup"]["restart"] == "no"
    assert SERVICES["setup"]["network_mode"] == "none"


def test_addresses_follow_the_ports() -> None:
    auth, mcp, gateway = (SERVICES[name]["environment"] for name in OURS)
    assert (
        auth["AUTH_ISSUER"]
        == mcp["MCP_ISSUER"]
        == gateway["GATEWAY_ISSUER"]
        == "${AUTH_ISSUER:-http://localhost:${AUTH_PORT:-8081}}"
    )
    assert auth["AUTH_RESOURCE"] == mcp["MCP_RESOURCE"] == "${MCP_RESOURCE:-http://localhost:${MCP_PORT:-8082}/mcp}"
    assert mcp["MCP_AUTH_INTERNAL_URL"] == gateway["GATEWAY_AUTH_INTERNAL_URL"] == "http://auth-service:8081"
    assert gateway["GATEWAY_RESOURCE"] == "${GATEWAY_RESOURCE:-http://localhost:${GATEWAY_PORT:-8083}/mcp}"
    assert gateway["RECORDS_RESOURCE"] == mcp["MCP_RESOURCE"]
    assert mcp["MCP_ALLOWED_HOSTS"] == "mcp-resource-service,${MCP_ALLOWED_HOSTS:-}"
    assert gateway["RECORDS_URL"] == "http://mcp-resource-service:8082/mcp"


def test_only_the_profile_gateway_starts_the_gateway() -> None:
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["gateway-service"]
    assert SERVICES["gateway-service"]["profiles"] == ["gateway"]
    assert not [name for name in SERVICES if "gateway-service" in SERVICES[name].get("depends_on", {})]


@pytest.mark.parametrize("name", OURS)
class TestEveryImage:
    def lines(self, name: str) -> list[str]:
        return (ROOT / name / "Dockerfile").read_text(encoding="utf-8").splitlines()

    def test_has_two_stages_from_one_base(self, name: str) -> None:
        stages = [line for line in self.lines(name) if line.startswith("FROM ")]
        assert stages == ["FROM ${PYTHON_IMAGE} AS build", "FROM ${PYTHON_IMAGE}"]
        assert "ARG PYTHON_IMAGE=python:3.13-slim-trixie" in self.lines(name)

    def test_needs_nothing_that_a_closed_network_lacks(self, name: str) -> None:
        text = "\n".join(self.lines(name))
        assert "# syntax=" not in text
        assert "<<" not in text
        assert "@sha256" not in text
        assert re.findall(r"COPY --from=(\S+)", text) == ["build"]

    def test_runs_without_root_and_without_a_shell(self, name: str) -> None:
        assert "USER 65532:65532" in self.lines(name)
        assert f'ENTRYPOINT ["{name}"]' in self.lines(name)


class TestTheOneContainerImage:
    TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    def test_is_built_as_the_others_are(self) -> None:
        stages = re.findall(r"^FROM (.*)$", self.TEXT, re.MULTILINE)
        assert stages == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
        assert "ARG PYTHON_IMAGE=python:3.13-slim-trixie\n" in self.TEXT
        assert "ARG PIP_INDEX_URL=\nARG CA_CERTIFICATES=\n" in self.TEXT
        assert re.findall(r"COPY --from=(\S+)", self.TEXT) == ["build"]
        assert not re.search(r"# syntax=|<<|@sha256|start-interval", self.TEXT)

    def test_does_not_run_as_root(self) -> None:
        assert "USER 65532:65532\n" in self.TEXT

    def test_everything_it_copies_is_in_the_build_context(self) -> None:
        kept = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", self.TEXT, re.MULTILINE):
            for source in line.split():
                assert any(source.startswith(path) or path.startswith(f"{source}/") for path in kept), source


def test_lock_files_contain_hashes_and_no_index_address() -> None:
    locks = list((ROOT / "requirements").glob("*.lock"))
    assert len(locks) >= 5
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert text.count("--hash=sha256:") >= len(re.findall(r"^[a-z].*==", text, re.MULTILINE))


def test_the_authorization_server_is_built_without_fastmcp() -> None:
    assert "fastmcp" not in (ROOT / "requirements/auth-service.lock").read_text(encoding="utf-8")


class TestSettingsArePassedOn:
    """Every setting is in the environment of its service: with a value from compose.yaml, or when the user sets it."""

    def names(self, name: str) -> tuple[set[str], set[str]]:
        """Those that compose.yaml gives a value, and those that come from the shell or .env."""
        service = SERVICES[name]
        lines = [line for file in service["env_file"] for line in (ROOT / file).read_text("utf-8").splitlines()]
        return set(service["environment"]), {line for line in lines if not line.startswith("#")}

    @pytest.mark.parametrize(("name", "settings"), list(zip(OURS, SETTINGS_CLASSES, strict=True)))
    def test_none_is_missing_and_none_is_unknown(self, name: str, settings: type[BaseSettings]) -> None:
        fixed, passed_on = self.names(name)
        every, secret = set(variable_names(settings)), set(secret_variable_names(settings))
        assert (fixed - OF_UPSTREAMS) | passed_on == every - secret

    @pytest.mark.parametrize("name", OURS)
    def test_a_name_without_a_value_hides_no_default(self, name: str) -> None:
        assert not {entry for entry in self.names(name)[1] if "=" in entry}

    @pytest.mark.parametrize("name", OURS)
    def test_what_others_depend_on_is_not_changed_from_outside(self, name: str) -> None:
        prefix = {"auth-service": "AUTH", "mcp-resource-service": "MCP", "gateway-service": "GATEWAY"}[name]
        fixed = SERVICES[name]["environment"]
        for variable in (f"{prefix}_HOST", f"{prefix}_PORT", f"{prefix}_REDIS_URL", "SECURITY_AUDIT_DIR"):
            assert "$" not in fixed[variable]

    def test_the_files_are_up_to_date(self) -> None:
        for file_name, content in env_files().items():
            assert (ROOT / "deploy/compose" / file_name).read_text(encoding="utf-8") == content, "run: make docs"


@pytest.mark.parametrize("name", OURS)
def test_the_lock_of_an_image_has_every_direct_dependency(name: str) -> None:
    declared = tomllib.loads((ROOT / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    needed = {re.split(r"[\[><=;]", each)[0].lower() for each in declared if not each.startswith("mcp-oauth2-")}
    lock = (ROOT / f"requirements/{name}.lock").read_text(encoding="utf-8")
    locked = {re.split(r"[\[=]", line)[0] for line in lock.splitlines() if "==" in line}
    assert needed <= locked, "run: make lock"


TOOLS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy/compose.backup.yaml").read_text("utf-8"))["services"]


@pytest.mark.parametrize("name", list(TOOLS))
def test_containers_for_backups_are_hardened(name: str) -> None:
    tool = TOOLS[name]
    assert tool["profiles"] == ["backup"], "`docker compose up` does not start it"
    assert tool["user"] in {"65532:65532", SERVICES["redis"]["user"]}
    assert tool["network_mode"] == "none"
    assert tool["read_only"] is True
    assert tool["cap_drop"] == ["ALL"]
    assert tool["security_opt"] == ["no-new-privileges:true"]
    mounts = [mount.split(":") for mount in tool["volumes"]]
    assert {mount[0] for mount in mounts} <= set(COMPOSE["volumes"])
    assert all((mount[2:] == ["ro"]) == name.startswith("backup") for mount in mounts), "a backup changes nothing"


def test_a_backup_has_every_volume() -> None:
    for kind in ("backup", "restore"):
        mounted = {mount.split(":")[0] for name in (kind, f"{kind}-redis") for mount in TOOLS[name]["volumes"]}
        assert mounted == set(COMPOSE["volumes"])
