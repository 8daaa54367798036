"""Generates docs/configuration.md and docs/ko/configuration.md from the settings classes (`make docs`)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode

from auth_service.settings import AuthSettings
from gateway_service.settings import GatewaySettings
from local_stack.page_languages import Language, describe_setting, translate
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

_HEADS: dict[Language, str] = {"en": "configuration_page_head.md", "ko": "configuration_page_head.ko.md"}


def render(language: Language = "en") -> str:
    """The whole page. Raises KeyError if a part of it has no translation."""
    head = Path(__file__).with_name(_HEADS[language]).read_text(encoding="utf-8")
    return "\n".join([head, *(_section(*section, language) for section in _SECTIONS)])


def _section(title: str, lead: str, settings: type[BaseSettings], language: Language) -> str:
    rows = "\n".join(_rows(settings, language))
    columns = translate("| variable | type | default | meaning |", language)
    return f"## {title}\n\n{translate(lead, language)}\n\n{columns}\n|---|---|---|---|\n{rows}\n"


def _rows(settings: type[BaseSettings], language: Language) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        if field.annotation is not SecuritySettings:  # it has its own section
            variable = variable_name(settings, name)
            description = describe_setting(variable, field.description or "", language)
            description = description.replace("|", "\\|").replace("\n", " ")
            yield f"| `{variable}` | {_kind(field, language)} | {_default(field, language)} | {description} |"


def _kind(field: FieldInfo, language: Language) -> str:
    if TrustedIssuer in _parts(field.annotation):
        return translate("JSON or path", language)
    separated = field.annotation is not Threshold and any(
        isinstance(part, type) and issubclass(part, NoDecode) for part in field.metadata
    )
    return translate("list, by commas", language) if separated else _type(field.annotation, language)


def _parts(annotation: Any) -> set[Any]:
    """The annotation and all types inside it."""
    return {annotation}.union(*map(_parts, get_args(annotation)))


def _type(annotation: Any, language: Language) -> str:
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        return f" {translate('or', language)} ".join(f"`{choice}`" for choice in inner)
    if get_origin(annotation) is Annotated:
        return _type(inner[0], language)
    if get_origin(annotation) in (Union, UnionType):
        return f" {translate('or', language)} ".join(_type(kind, language) for kind in inner)
    return translate(_NAMES.get(annotation, "JSON"), language)


def _default(field: FieldInfo, language: Language) -> str:
    if field.is_required():
        return translate("required", language)
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Threshold):
        return f"`{value.count}/{value.seconds}`"
    if value in (None, "", (), [], {}):
        return translate("none", language)
    return f"`{str(value).lower() if value in (True, False) else value}`"


if __name__ == "__main__":
    docs = Path(sys.argv[1])
    (docs / "configuration.md").write_text(render("en"), encoding="utf-8")
    (docs / "ko/configuration.md").write_text(render("ko"), encoding="utf-8")
