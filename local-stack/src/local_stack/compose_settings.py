"""Writes the names of all settings into the env files that compose.yaml passes to the services (`make docs`)."""

import sys
from pathlib import Path

from pydantic_settings import BaseSettings

from auth_service.settings import AuthSettings
from gateway_service.settings import GatewaySettings
from mcp_resource_service.settings import ResourceSettings
from security_common.setting_names import secret_variable_names, variable_names

__all__ = ["env_files"]

_SETTINGS: dict[str, type[BaseSettings]] = {
    "auth-service": AuthSettings,
    "mcp-resource-service": ResourceSettings,
    "gateway-service": GatewaySettings,
}

_HEAD = """\
# Written by `make docs` from the settings classes. A line that is only a name takes the value from the shell or from
# .env, and adds nothing when it is not set there.
"""


def env_files() -> dict[str, str]:
    """File name and content for each service. Settings whose value is a secret are left out."""
    return {f"{service}.env": _content(settings) for service, settings in _SETTINGS.items()}


def _content(settings: type[BaseSettings]) -> str:
    secrets = set(secret_variable_names(settings))
    return _HEAD + "".join(f"{name}\n" for name in variable_names(settings) if name not in secrets)


if __name__ == "__main__":
    for file_name, content in env_files().items():
        (Path(sys.argv[1]) / file_name).write_text(content, encoding="utf-8")
