"""The scopes that one tool needs. The guard, `secure_tool` and the tool lists all check them.

A tool declares its scopes with `secure_tool(scopes=..., argument_scopes=...)`. `secure_server` collects them in a table
for the guard. They are checked at three points:

| where            | when                                      | result for a token without the scopes              |
|------------------|-------------------------------------------|----------------------------------------------------|
| Guard            | before the call                           | `guard.guard` raises `InsufficientScope`: a 403    |
|                  |                                           | that names every scope that the call needs         |
| secure_tool      | in the call, if there is a verified token | `tool_policy.errors.ScopesMissing`: the call       |
|                  |                                           | fails                                              |
| PolicyMiddleware | when tools are listed                     | the tool is not listed, unless the user can still  |
|                  |                                           | consent to the scopes                              |

`argument_scopes` do not count when tools are listed, because there are no arguments yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ArgumentScope", "ScopeRule", "ToolScopeRule", "ToolScopes", "scopes_of_call"]


@dataclass(frozen=True, slots=True)
class ArgumentScope:
    """A scope that a call needs only if an argument has a certain value.

    `value` must not be the argument's default, because an omitted argument is not compared.
    """

    scope: str
    argument: str
    value: Any

    def applies_to(self, arguments: Mapping[str, Any]) -> bool:
        """True if a call with these arguments needs the scope."""
        return arguments.get(self.argument) == self.value

    def __str__(self) -> str:
        """For documentation: `mcp.audit with whose=everyone`."""
        return f"{self.scope} with {self.argument}={self.value}"


@dataclass(frozen=True, slots=True)
class ToolScopeRule:
    """The scopes of one tool: those that every call needs, and those that depend on an argument."""

    always: frozenset[str] = frozenset()
    by_argument: tuple[ArgumentScope, ...] = ()

    def __call__(self, arguments: Mapping[str, Any]) -> frozenset[str]:
        """The scopes that a call with these arguments needs."""
        return self.always.union(each.scope for each in self.by_argument if each.applies_to(arguments))

    def __str__(self) -> str:
        """For documentation: `mcp.access; mcp.audit with whose=everyone`."""
        always = [" ".join(sorted(self.always))] if self.always else []
        return "; ".join([*always, *map(str, self.by_argument)])


ScopeRule = frozenset[str] | Callable[[Mapping[str, Any]], frozenset[str]]
"""The scopes of a tool, or a function (such as a ToolScopeRule) that returns the scopes for the arguments of a call."""

ToolScopes = Mapping[str, ScopeRule]
"""The scope rule of each tool by its name. A tool that is not in the table needs no scopes of its own."""


def scopes_of_call(tool_scopes: ToolScopes, tool_name: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """The scopes that a call of a tool needs in addition to the scopes of the resource."""
    rule = tool_scopes.get(tool_name, frozenset[str]())
    return rule(arguments) if callable(rule) else rule
