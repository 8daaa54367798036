"""Parameter tables: one table describes an endpoint's parameters, for the parser and for the OpenAPI document."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Parameter", "ParameterTable"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a form or a query string. `values` lists the accepted values if there are only a few."""

    name: str
    description: str
    required: bool = False
    repeatable: bool = False
    values: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its value."""
        schema: dict[str, Any] = {"type": "string", "description": self.description}
        if self.values:
            schema["enum"] = list(self.values)
        return schema


class ParameterTable:
    """The parameters of an endpoint. A handler can read only what the table lists, so the document is complete."""

    def __init__(self, *parameters: Parameter) -> None:
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self.repeatable_names = frozenset(parameter.name for parameter in parameters if parameter.repeatable)

    def require_listed(self, name: str) -> None:
        """Raises `KeyError` if the table does not list it: a mistake in this service, not in the request."""
        if name not in self._parameters:
            raise KeyError(name)

    def extended_by(self, parameters: Iterable[Parameter]) -> "ParameterTable":
        """A table with further parameters; one that is already listed stays as it is."""
        known = {each.name: each for each in parameters}
        known.update(self._parameters)
        return ParameterTable(*known.values())

    def as_query(self) -> dict[str, Any]:
        """The OpenAPI `parameters` member of an operation that reads them from the query string."""
        return {
            "parameters": [
                {
                    "name": parameter.name,
                    "in": "query",
                    "required": parameter.required,
                    "description": parameter.description,
                    "schema": {key: value for key, value in parameter.schema.items() if key != "description"},
                }
                for parameter in self._parameters.values()
            ]
        }

    def as_form(self) -> dict[str, Any]:
        """The OpenAPI `requestBody` member of an operation that reads them from a form."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {parameter.name: parameter.schema for parameter in self._parameters.values()},
        }
        required = [parameter.name for parameter in self._parameters.values() if parameter.required]
        if required:
            schema["required"] = required
        return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}
