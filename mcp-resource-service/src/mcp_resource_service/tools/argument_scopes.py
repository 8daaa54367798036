"""Scopes that a call needs only for certain argument values, declared next to the tool that needs them.

    @mcp.tool(...)
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE])
    @argument_scopes.require(AUDIT_SCOPE, argument="whose", value="everyone")
    async def get_security_audit_log(*, whose: Literal["mine", "everyone"] = "mine", ...) -> AuditLog: ...

The guard checks these scopes before the call (403 insufficient_scope, RFC 6750 section 3.1) and the decorator checks
them again. The resource policy://tools lists them.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from mcp_resource_service.tools.caller import verified_caller
from security_common.guard import ToolScopes
from security_common.tool_policy import InsufficientScope

__all__ = ["ArgumentScopes"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Requirement:
    """Calls with this value of this argument need this scope. The value is never the argument's default."""

    scope: str
    argument: str
    value: str

    def applies_to(self, arguments: Mapping[str, Any]) -> bool:
        return arguments.get(self.argument) == self.value


class ArgumentScopes:
    """The requirements of all tools of one server, by tool name."""

    def __init__(self) -> None:
        self._requirements: dict[str, _Requirement] = {}

    def require(
        self, scope: str, *, argument: str, value: str
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Decorates an async tool whose arguments are named: `scope` is needed when `argument` has this value.

        The decorated tool raises InsufficientScope when the token does not have the scope.
        """
        requirement = _Requirement(scope, argument, value)

        def decorate(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            self._requirements[tool.__name__] = requirement

            @functools.wraps(tool)
            async def checked(*args: P.args, **kwargs: P.kwargs) -> R:
                if requirement.applies_to(kwargs) and scope not in verified_caller().token.scopes:
                    raise InsufficientScope(frozenset({scope}))
                return await tool(*args, **kwargs)

            return checked

        return decorate

    def extend(self, scopes_by_tool: Mapping[str, frozenset[str]]) -> ToolScopes:
        """Returns the complete table for the guard: the scopes that tools always need, and those by argument."""
        return {
            tool: self._needed_scopes(scopes, self._requirements[tool]) if tool in self._requirements else scopes
            for tool, scopes in scopes_by_tool.items()
        }

    def describe(self, tool: str) -> str:
        """Returns the requirement of a tool as text, such as `mcp.audit with whose=everyone`; empty without one."""
        requirement = self._requirements.get(tool)
        return f"{requirement.scope} with {requirement.argument}={requirement.value}" if requirement else ""

    @staticmethod
    def _needed_scopes(
        always: frozenset[str], requirement: _Requirement
    ) -> Callable[[Mapping[str, Any]], frozenset[str]]:
        def needed_scopes(arguments: Mapping[str, Any]) -> frozenset[str]:
            return always | {requirement.scope} if requirement.applies_to(arguments) else always

        return needed_scopes
