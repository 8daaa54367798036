"""Data that stands beside the code: texts, the OpenAPI document."""

from importlib.resources import files
from typing import Any

import yaml

__all__ = ["read_yaml"]


def read_yaml(package: str, name: str) -> Any:
    """A YAML file of ours. PyYAML's reader in C, where it has one, takes an eighth of the time at every start."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(files(package).joinpath(name).read_bytes(), loader)  # noqa: S506 - both are safe
