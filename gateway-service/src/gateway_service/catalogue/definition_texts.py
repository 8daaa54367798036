"""Personal data in what an upstream says about itself and its tools, which clients show to their users and models."""

from collections.abc import Callable
from typing import Any, cast

from security_common.tool_policy.policy import PIIPolicy

__all__ = ["ProtectDefinition", "protect_definition_texts"]

ProtectDefinition = Callable[[PIIPolicy, dict[str, Any]], dict[str, Any]]
"""Returns a definition without the personal data that its policy does not let pass. Raises `SecurityError`."""

_Protect = Callable[[dict[str, Any]], dict[str, Any]]

_TEXTS = frozenset({"title", "description", "$comment"})
_DATA = frozenset({"const", "default", "enum", "example", "examples"})
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Members of a schema whose own members are names that the author has chosen, and not keywords."""


def protect_definition_texts(definition: dict[str, Any], protect: _Protect) -> dict[str, Any]:
    """A copy of a tool's definition, or of a schema in it, with its texts and the data in its schemas protected.

    The names of arguments and the structure of the schemas stay as they are, because calls depend on them.
    """
    return {name: _protect_member(name, value, protect) for name, value in definition.items()}


def _protect_member(name: str, value: Any, protect: _Protect) -> Any:
    if name in _DATA or (name in _TEXTS and isinstance(value, str)):
        return protect({name: value})[name]
    if name in _NAMED_SCHEMAS and isinstance(value, dict):
        schemas = cast("dict[str, Any]", value)
        return {schema_name: _protect_schema(schema, protect) for schema_name, schema in schemas.items()}
    return _protect_schema(value, protect)


def _protect_schema(value: Any, protect: _Protect) -> Any:
    if isinstance(value, dict):
        return protect_definition_texts(cast("dict[str, Any]", value), protect)
    if isinstance(value, list):
        return [_protect_schema(each, protect) for each in cast("list[Any]", value)]
    return value
