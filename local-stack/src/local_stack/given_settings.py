"""The services' settings in the environment of whoever starts the stack: `make run` hands all of them on."""

from collections.abc import Mapping
from pathlib import Path

from auth_service.settings import AuthSettings
from mcp_resource_service.settings import ResourceSettings

__all__ = ["SETTINGS_CLASSES", "given_settings", "without_settings"]

SETTINGS_CLASSES = (AuthSettings, ResourceSettings)
"""The settings of the services; those of the library (SECURITY_) are nested in both."""

_PREFIXES = ("AUTH_", "MCP_", "SECURITY_", "GATEWAY_")
# `StackPorts` reads them, since every address follows from them.
_PORTS = frozenset({"AUTH_PORT", "MCP_PORT"})


def given_settings(environment: Mapping[str, str], own_secrets: Path) -> dict[str, str]:
    """Every setting that has a value, except for the ports. An empty variable counts as not set.

    A value that names a file below `own_secrets` came from `local-stack env`, and the stack derives it anyway: as a
    given setting it would reach the other service as well, which has a secret of its own.
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_PREFIXES) and name not in _PORTS and value and not value.startswith(f"{own_secrets}/")
    }


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The rest of the environment: a stack gets no setting by accident, only those that it is given."""
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIXES)}
