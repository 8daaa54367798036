"""deploy/kubernetes: the services start with what the manifests give them, and every pod is hardened.

`make check-manifests` compares the manifests with the schemas of Kubernetes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from auth_service.declaration_file import load_declaration
from auth_service.settings import AuthSettings
from gateway_service.declaration.loading import load_declaration as load_gateway_declaration
from gateway_service.settings import GatewaySettings
from mcp_resource_service.settings import ResourceSettings
from security_common.cli.setup import make_secrets
from security_common.setting_names import variable_names
from security_common.settings import SecuritySettings

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
# The folder of `security-common setup` that becomes the secret of a service.
SECRET_FOLDERS = {"auth-service": "auth", "mcp-resource-service": "mcp", "gateway-service": "gateway", "redis": "redis"}
SETTINGS: dict[str, type[BaseSettings]] = {
    "auth-service": AuthSettings,
    "mcp-resource-service": ResourceSettings,
    "gateway-service": GatewaySettings,
}


def read_objects() -> Iterator[dict[str, Any]]:
    for file in sorted(FOLDER.glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text(encoding="utf-8"))


OBJECTS = list(read_objects())


def objects_of(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


PODS = {name: each["spec"]["template"]["spec"] for name, each in objects_of("StatefulSet").items()}
CONTAINERS = {name: pod["containers"][0] for name, pod in PODS.items()}
CONFIG_MAPS = {name: each["data"] for name, each in objects_of("ConfigMap").items()}


def environment_of(service: str) -> dict[str, str]:
    """The variables of the container, with the values of the config maps that they name."""
    variables: dict[str, str] = {}
    for each in CONTAINERS[service]["env"]:
        reference = each.get("valueFrom", {}).get("configMapKeyRef")
        variables[each["name"]] = CONFIG_MAPS[reference["name"]][reference["key"]] if reference else each["value"]
    return variables


@pytest.fixture
def started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the variables of a service; its secrets and config maps are files below a folder of the test."""
    make_secrets(tmp_path / "secrets")

    def start(service: str) -> dict[str, str]:
        (tmp_path / "files").mkdir()
        files = {f"/run/secrets/{service}/": tmp_path / "secrets" / SECRET_FOLDERS[service]}
        for volume, mount in volumes_with_config(service):
            files[f"{mount}/"] = tmp_path / "files"
            for name, text in CONFIG_MAPS[volume].items():
                (tmp_path / "files" / name).write_text(text, encoding="utf-8")
        variables = environment_of(service)
        for name, value in variables.items():
            for prefix, folder in files.items():
                if value.startswith(prefix):
                    variables[name] = str(folder / value.removeprefix(prefix))
            monkeypatch.setenv(name, variables[name])
        return variables

    return start


def volumes_with_config(service: str) -> Iterator[tuple[str, str]]:
    """The config maps that are mounted, and where."""
    maps = {each["name"]: each["configMap"]["name"] for each in PODS[service]["volumes"] if "configMap" in each}
    for mount in CONTAINERS[service]["volumeMounts"]:
        if mount["name"] in maps:
            yield maps[mount["name"]], mount["mountPath"]


@pytest.mark.parametrize("service", list(SETTINGS))
def test_every_variable_is_a_setting_and_every_secret_file_exists(service: str, started_with: Any) -> None:
    variables = started_with(service)
    known = {*variable_names(SETTINGS[service]), *variable_names(SecuritySettings)}
    assert variables.keys() <= known
    SETTINGS[service]()
    for name, value in variables.items():
        if name.endswith("_FILE"):
            assert Path(value).is_file(), name


def test_the_declaration_of_auth_service_is_valid(started_with: Any) -> None:
    started_with("auth-service")
    declaration = load_declaration(AuthSettings())
    assert [resource.url for resource in declaration.resources] == [CONFIG_MAPS["addresses"]["resource"]]


def test_the_upstreams_of_the_gateway_are_valid(started_with: Any) -> None:
    variables = started_with("gateway-service")
    declared = load_gateway_declaration(Path(variables["GATEWAY_UPSTREAMS"]), variables)
    assert [upstream.name for upstream in declared.upstreams] == ["records"]


def test_the_pages_have_the_public_addresses() -> None:
    hosts = {rule["host"] for rule in objects_of("Ingress")["mcp-oauth2"]["spec"]["rules"]}
    addresses = CONFIG_MAPS["addresses"]
    assert {f"https://{host}" for host in hosts} == {addresses["issuer"], addresses["resource"].removesuffix("/mcp")}


@pytest.mark.parametrize("name", list(PODS))
def test_every_pod_is_hardened(name: str) -> None:
    pod, container = PODS[name], CONTAINERS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    secret = next(each["secret"] for each in pod["volumes"] if "secret" in each)
    assert secret["secretName"] in SECRET_FOLDERS
    assert secret["defaultMode"] == 0o440


@pytest.mark.parametrize("name", list(SETTINGS))
def test_every_service_has_probes_a_journal_and_a_disruption_budget(name: str) -> None:
    container, labels = CONTAINERS[name], {"app.kubernetes.io/name": name}
    assert PODS[name]["enableServiceLinks"] is False
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert objects_of("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
    assert objects_of("Service")[name]["spec"]["selector"] == labels
    stateful_set = objects_of("StatefulSet")[name]["spec"]
    assert [each["metadata"]["name"] for each in stateful_set["volumeClaimTemplates"]] == ["audit"]
    variables = environment_of(name)
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert variables["SECURITY_AUDIT_DIR"] == mounts["audit"]
    ports = {each["name"]: str(each["containerPort"]) for each in container["ports"]}
    assert {f"{prefix_of(name)}PORT": ports["http"], f"{prefix_of(name)}METRICS_PORT": ports["metrics"]}.items() <= (
        variables.items()
    )
    drain_seconds = float(variables[f"{prefix_of(name)}DRAIN_SECONDS"])
    assert PODS[name]["terminationGracePeriodSeconds"] > drain_seconds


def prefix_of(service: str) -> str:
    return str(SETTINGS[service].model_config["env_prefix"])


def test_the_kustomization_has_every_file_except_the_optional_gateway() -> None:
    kustomization = next(each for each in OBJECTS if each["kind"] == "Kustomization")
    files = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "gateway-service.yaml"}
    assert set(kustomization["resources"]) == files
    images = {each["name"] for each in kustomization["images"]}
    assert images == {CONTAINERS[name]["image"] for name in SETTINGS}


def test_no_secret_is_in_a_manifest() -> None:
    assert objects_of("Secret") == {}
    for service in SETTINGS:
        for name in environment_of(service):
            assert not re.search(r"SECRET|PASSWORD|KEY|PEPPER|KEK", name) or name.endswith("_FILE")
