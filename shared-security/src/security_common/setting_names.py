"""The names of the environment variables that the settings classes read, and the variables that none of them reads."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

__all__ = ["secret_variable_names", "unknown_setting_notices", "variable_names"]

# Kubernetes adds such variables for every Service of the namespace: a Service `auth` gives AUTH_SERVICE_HOST.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)")


def variable_names(settings: type[BaseSettings]) -> tuple[str, ...]:
    """Every variable that the class reads, in the order of its fields; those of nested settings classes included."""
    return tuple(name for name, _ in _variables(settings))


def secret_variable_names(settings: type[BaseSettings]) -> tuple[str, ...]:
    """The variables that hold a secret themselves, not the path of its file."""
    return tuple(
        name
        for name, field in _variables(settings)
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
    )


def unknown_setting_notices(
    classes: Iterable[type[BaseSettings]], environment: Mapping[str, str], *, allowed: Iterable[str] = ()
) -> list[str]:
    """One line for each variable that has a prefix of these classes but is no setting, with the most similar name.

    `allowed` are further variables with such a prefix that something else reads.
    """
    known = {name for settings in classes for name in variable_names(settings)}
    prefixes = tuple({f"{name.split('_', 1)[0]}_" for name in known})
    unknown = sorted(
        name
        for name in environment
        if name.startswith(prefixes) and name not in known.union(allowed) and not _SERVICE_LINK.search(name)
    )
    return [f"NOTICE: {name} is not a setting and has no effect; {_suggestion(name, known)}" for name in unknown]


def _suggestion(name: str, known: set[str]) -> str:
    similar = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return f"did you mean {similar[0]}?" if similar else "docs/configuration.md lists the settings"


def _variables(settings: type[BaseSettings]) -> Iterator[tuple[str, FieldInfo]]:
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseSettings):
            yield from _variables(annotation)
        else:
            yield f"{prefix}{name}".upper(), field
