"""Reads and validates the configuration file. Unknown and misspelt entries are refused and named.

A module of its own, since pydantic and RE2 take long to import and most processes have no such file.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from security_common.pii.configuration import CustomPattern, Operator, PIIConfiguration, PIIConfigurationError
from security_common.pii.finding import PIIKind
from security_common.pii.national_ids import COUNTRIES

try:
    import re2
except ImportError:  # the `patterns` extra is not installed; only custom patterns need it
    re2 = None

__all__ = ["load_configuration", "parse_configuration"]

_MAX_PATTERNS, _MAX_PATTERN_CHARS = 20, 500


def _check_operator(operator: Operator) -> Operator:
    if operator is Operator.TOKENIZE:
        raise ValueError("tokenize is a policy of a tool and cannot be set for a kind of data")
    return operator


_ConfigurableOperator = Annotated[Operator, AfterValidator(_check_operator)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Tool(_Section):
    default: _ConfigurableOperator | None = None
    kinds: dict[PIIKind, _ConfigurableOperator] = {}


class _Allow(_Section):
    values: list[str] = []


class _Pattern(_Section):
    expression: Annotated[str, Field(min_length=1, max_length=_MAX_PATTERN_CHARS)]


class _File(_Tool):
    default: _ConfigurableOperator | None = Operator.MASK
    national_ids: bool | list[str] = True
    find_public_names: bool = False
    tools: dict[str, _Tool] = {}
    allow: _Allow = _Allow()
    patterns: Annotated[dict[str, _Pattern], Field(max_length=_MAX_PATTERNS)] = {}


def load_configuration(path: Path) -> PIIConfiguration:
    """Reads a TOML file. Raises PIIConfigurationError, which names the wrong entry but never a value."""
    try:
        with path.open("rb") as file:
            entries = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise PIIConfigurationError(
            f"{path} is not a readable TOML file", hint="docs/pii.md has an example of the file"
        ) from error
    return parse_configuration(entries)


def parse_configuration(entries: Mapping[str, Any]) -> PIIConfiguration:
    """Validates the entries of a file. Raises PIIConfigurationError."""
    try:
        file = _File.model_validate(entries)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in wrong["loc"] if part != "[key]")
        raise PIIConfigurationError(f"{place}: {wrong['msg']}", hint="docs/pii.md lists the valid entries") from None
    return PIIConfiguration(
        default=file.default,
        kinds=file.kinds,
        tools={name: PIIConfiguration(default=tool.default, kinds=tool.kinds) for name, tool in file.tools.items()},
        find_public_names=file.find_public_names,
        allowed_values=frozenset(value.casefold() for value in file.allow.values),
        patterns=tuple(_compile(name, pattern.expression) for name, pattern in file.patterns.items()),
        national_ids=_countries(file.national_ids),
    )


def _countries(entry: bool | list[str]) -> frozenset[str]:
    """All countries for true, none for false, otherwise those of the list."""
    if isinstance(entry, bool):
        return COUNTRIES if entry else frozenset()
    unknown = sorted(set(entry) - COUNTRIES)
    if unknown:
        raise PIIConfigurationError(
            f"national_ids: {', '.join(unknown)} is not supported", hint=f"use codes of {', '.join(sorted(COUNTRIES))}"
        )
    return frozenset(entry)


def _compile(name: str, expression: str) -> CustomPattern:
    engine: Any = re2
    if engine is None:
        raise PIIConfigurationError("custom patterns need RE2", hint='install "mcp-oauth2-security-common[patterns]"')
    options = engine.Options()
    options.log_errors = False
    try:
        compiled = engine.compile(expression, options)
    except engine.error:
        raise PIIConfigurationError(
            f"patterns.{name} is not a valid RE2 expression", hint="RE2 does not support look-around"
        ) from None
    if compiled.search("") is not None:
        raise PIIConfigurationError(
            f"patterns.{name} matches the empty text", hint="write an expression that matches at least one character"
        )
    return CustomPattern(name, compiled)
