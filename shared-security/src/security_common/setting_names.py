"""The names of the environment variables that the settings classes read, and variables that no class reads."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

__all__ = [
    "AUDIT_KEYS_VARIABLE",
    "UnknownSetting",
    "find_unknown_settings",
    "secret_variable_names",
    "setting_prefix",
    "unknown_setting_notices",
    "variable_name",
    "variable_names",
]

AUDIT_KEYS_VARIABLE = "SECURITY_AUDIT_KEYS_DIR"
"""The directory of the keys of all services, for `security-common audit verify`."""

# Options of the `security-common` commands that can also be given as variables.
_COMMAND_OPTIONS = frozenset({AUDIT_KEYS_VARIABLE})

# Kubernetes sets such variables for every Service of the namespace: for a Service `auth`, AUTH_SERVICE_HOST.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)")


def setting_prefix(settings: BaseModel | type[BaseModel]) -> str:
    """The prefix of the variables that a settings class reads; empty if it has none."""
    return str(settings.model_config.get("env_prefix", ""))


def variable_name(settings: BaseModel | type[BaseModel], field: str) -> str:
    """The environment variable that a field is read from: the prefix and the name, in upper case."""
    return f"{setting_prefix(settings)}{field}".upper()


def variable_names(settings: type[BaseSettings]) -> tuple[str, ...]:
    """The variables that the class reads, in the order of its fields, including those of nested settings classes."""
    return tuple(name for name, _ in _variables(settings))


def secret_variable_names(settings: type[BaseSettings]) -> tuple[str, ...]:
    """The variables that contain a secret themselves, not the path of a file."""
    return tuple(
        name
        for name, field in _variables(settings)
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
    )


@dataclass(frozen=True, slots=True)
class UnknownSetting:
    """A variable with the prefix of a settings class that is not a setting; `similar` is empty or a likely name."""

    name: str
    similar: str

    @property
    def hint(self) -> str:
        return f"did you mean {self.similar}?" if self.similar else "docs/configuration.md lists the settings"


def find_unknown_settings(
    classes: Iterable[type[BaseSettings]], environment: Mapping[str, str], *, allowed: Iterable[str] = ()
) -> list[UnknownSetting]:
    """The variables that have a prefix of these classes but are not settings, in alphabetical order.

    `allowed` are further variables with such a prefix, which something else reads.
    """
    known = {name for settings in classes for name in variable_names(settings)}
    expected = known.union(allowed, _COMMAND_OPTIONS)
    prefixes = tuple({f"{name.split('_', 1)[0]}_" for name in known})
    unknown = sorted(
        name
        for name in environment
        if name.startswith(prefixes) and name not in expected and not _SERVICE_LINK.search(name)
    )
    return [UnknownSetting(name, _most_similar(name, known)) for name in unknown]


def unknown_setting_notices(
    classes: Iterable[type[BaseSettings]], environment: Mapping[str, str], *, allowed: Iterable[str] = ()
) -> list[str]:
    """One line for each unknown setting, for the log of a service that starts."""
    unknown = find_unknown_settings(classes, environment, allowed=allowed)
    return [f"NOTICE: {each.name} is not a setting and has no effect; {each.hint}" for each in unknown]


def _most_similar(name: str, known: set[str]) -> str:
    similar = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return similar[0] if similar else ""


def _variables(settings: type[BaseSettings]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseSettings):
            yield from _variables(annotation)
        else:
            yield variable_name(settings, name), field
