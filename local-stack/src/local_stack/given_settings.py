"""Finds the services' settings in the environment. `make run` passes all of them to the services."""

from collections.abc import Mapping
from pathlib import Path

from auth_service.settings import AuthSettings
from gateway_service.settings import GatewaySettings
from mcp_resource_service.settings import ResourceSettings

__all__ = ["SETTINGS_CLASSES", "given_settings", "without_settings"]

SETTINGS_CLASSES = (AuthSettings, ResourceSettings, GatewaySettings)
"""The settings of the services; those of the library (SECURITY_) are nested in each."""

_PREFIXES = ("AUTH_", "MCP_", "GATEWAY_", "SECURITY_")
# `StackPorts` reads these, because all addresses are derived from them.
_PORTS = frozenset({"AUTH_PORT", "MCP_PORT", "GATEWAY_PORT"})


def given_settings(environment: Mapping[str, str], own_secrets: Path) -> dict[str, str]:
    """Returns every setting that has a value, except for the ports. An empty variable counts as not set.

    A value that names a file below `own_secrets` was printed by `local-stack env`. It is left out: the stack derives it
    anyway, and as a given setting it would also be passed to the other service, which has a different secret.
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_PREFIXES) and name not in _PORTS and value and not value.startswith(f"{own_secrets}/")
    }


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without the settings of the services, so that a stack gets only what it is given."""
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIXES)}
