"""Generates docs/configuration.md from the settings classes (`make docs`)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode

from auth_service.settings import AuthSettings
from gateway_service.settings import GatewaySettings
from mcp_resource_service.settings import ResourceSettings
from security_common.setting_names import variable_name
from security_common.settings import SecuritySettings, Threshold
from security_common.tokens import TrustedIssuer

__all__ = ["render"]

_SECTIONS: tuple[tuple[str, str, type[BaseSettings]], ...] = (
    ("auth-service", "Prefix `AUTH_`.", AuthSettings),
    ("mcp-resource-service", "Prefix `MCP_`.", ResourceSettings),
    ("gateway-service", "Prefix `GATEWAY_`. The gateway is optional: [gateway.md](gateway.md).", GatewaySettings),
    (
        "security_common",
        "Prefix `SECURITY_`; all services read these, and so does the library on its own.",
        SecuritySettings,
    ),
)

_NAMES = {
    str: "text",
    SecretStr: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    ZoneInfo: "time zone",
    Threshold: "count/seconds",
}

_HEAD = Path(__file__).with_name("configuration_page_head.md").read_text(encoding="utf-8")


def render() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(*section) for section in _SECTIONS)])


def _section(title: str, lead: str, settings: type[BaseSettings]) -> str:
    rows = "\n".join(_rows(settings))
    return f"## {title}\n\n{lead}\n\n| variable | type | default | meaning |\n|---|---|---|---|\n{rows}\n"


def _rows(settings: type[BaseSettings]) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        if field.annotation is not SecuritySettings:  # it has its own section
            description = (field.description or "").replace("|", "\\|").replace("\n", " ")
            yield f"| `{variable_name(settings, name)}` | {_kind(field)} | {_default(field)} | {description} |"


def _kind(field: FieldInfo) -> str:
    if TrustedIssuer in _parts(field.annotation):
        return "JSON or path"
    separated = field.annotation is not Threshold and any(
        isinstance(part, type) and issubclass(part, NoDecode) for part in field.metadata
    )
    return "list, by commas" if separated else _type(field.annotation)


def _parts(annotation: Any) -> set[Any]:
    """The annotation and all types inside it."""
    return {annotation}.union(*map(_parts, get_args(annotation)))


def _type(annotation: Any) -> str:
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in inner)
    if get_origin(annotation) is Annotated or type(None) in get_args(annotation):
        return _type(inner[0])
    return _NAMES.get(annotation, "JSON")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Threshold):
        return f"`{value.count}/{value.seconds}`"
    return "none" if value in (None, "", (), [], {}) else f"`{str(value).lower() if value in (True, False) else value}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
