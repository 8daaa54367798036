"""Variables in an mcpServers file: `${NAME}`, `${NAME:-default}`, `${env:NAME}` and, as in VS Code, `${input:id}`."""

import re
from collections.abc import Mapping

__all__ = ["VariableMissing", "VariableRefused", "fill_in_variables"]

_VARIABLE = re.compile(r"\$\{(?:(?P<kind>env|input):)?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)(?::-(?P<default>[^}]*))?\}")


_OWN_PREFIXES = ("GATEWAY_", "SECURITY_")


class VariableRefused(Exception):
    """The file uses a setting of the gateway, such as an encryption key. `name` is that of the variable."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class VariableMissing(Exception):
    """The environment does not have a variable that the file uses. `name` is that of the variable."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def fill_in_variables(text: str, environment: Mapping[str, str]) -> str:
    """The text with the values of its variables. Raises `VariableMissing` and `VariableRefused`.

    For `${input:api-key}`, which VS Code asks its user for, the environment variable is `API_KEY`.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match["name"]
        if match["kind"] == "input":
            name = name.replace("-", "_").upper()
        if name.startswith(_OWN_PREFIXES):
            raise VariableRefused(name)
        value = environment.get(name) or match["default"]
        if value is None:
            raise VariableMissing(name)
        return value

    return _VARIABLE.sub(value_of, text)
