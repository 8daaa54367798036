"""Parses YAML with the booleans of YAML 1.2: only `true` and `false`; `off`, `on`, `yes` and `no` are strings.

PyYAML implements YAML 1.1, in which `metadata_documents: off` is false.
"""

import re
from typing import Any

import yaml

__all__ = ["parse_yaml"]

_BOOL_TAG = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the booleans of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL_TAG, re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def parse_yaml(text: str) -> Any:
    """The document; None when it is empty. Raises `yaml.YAMLError`."""
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
