"""What `secure_tool` was given for one tool, and what is known about its arguments."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from security_common.pii import PIIKind
from security_common.tool_policy.policy import PIIPolicy
from security_common.tool_scopes import ToolScopeRule

__all__ = ["DeclaredArguments", "Identifier", "SecuredTool", "ToolSignature", "secured_tool_of"]

InjectedParameters = Callable[[Callable[..., Any]], frozenset[str]]
"""Returns the parameters of a function that a framework fills in itself."""

SECURED_TOOL_ATTRIBUTE = "__secured_tool__"

CALLER_ARGUMENTS = frozenset({"client_id", "user_id"})
"""Arguments that identify the caller of a plain function. They are treated as identifiers."""


class Identifier:
    """Marks an argument that is an opaque id: `person_id: Annotated[str, Identifier]`.

    An id is passed to the tool unchanged, because a masked id matches no record. A call whose id contains personal
    data is refused.
    """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SecuredTool:
    """One protected tool: its name, policies, scopes and arguments.

    `secure_tool` makes one for a Python function. A proxy makes one for a tool that runs elsewhere.
    """

    name: str
    policy: PIIPolicy
    result_policy: PIIPolicy
    reveal: frozenset[PIIKind]
    requires_encryption: bool
    log_access: bool
    scopes: ToolScopeRule
    signature: "ToolSignature | DeclaredArguments" = field(repr=False)


def secured_tool_of(function: Callable[..., Any]) -> SecuredTool | None:
    """What `secure_tool` was given for this function, or None if the function is not decorated with it."""
    return getattr(function, SECURED_TOOL_ATTRIBUTE, None)


class DeclaredArguments:
    """The arguments of a tool that is not a Python function here: all are named, and some are identifiers.

    `names` are those that the tool itself has declared. Any other name is chosen by the client, so it is data.
    """

    def __init__(self, identifiers: Collection[str] = (), names: Collection[str] = ()) -> None:
        self.identifiers = frozenset(identifiers)
        self._declared_names = self.identifiers | frozenset(names)

    def is_data(self, name: str) -> bool:
        """Whether the name of an argument is data."""
        return name not in self._declared_names

    def program_objects(self, injected_parameters: InjectedParameters | None) -> frozenset[str]:
        """There are none."""
        del injected_parameters
        return frozenset()

    def names_of(self, positional: Sequence[Any]) -> list[str]:
        """Raises ValueError if there are positional values, which such a tool cannot have."""
        if positional:
            raise ValueError("the arguments of this tool have names")
        return []


class ToolSignature:
    """The parameters of a tool.

    They are read at the first call and not when the function is decorated, because a framework may still add
    parameters to the function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters

    @cached_property
    def _positional(self) -> tuple[str, ...]:
        """The names of the parameters that may be passed by position, ending with that of `*args` if there is one."""
        keyword_kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        return tuple(name for name, parameter in self._parameters.items() if parameter.kind not in keyword_kinds)

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """The names of the arguments that are passed to the tool unchanged."""
        function = inspect.unwrap(self.function)
        try:
            hints = get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError):
            # An annotation that only exists for type checkers cannot be evaluated, so its source text is searched.
            annotations: Mapping[str, Any] = getattr(function, "__annotations__", {})
            marked = {name for name, text in annotations.items() if re.search(r"\bIdentifier\b", str(text))}
        else:
            marked = {name for name, hint in hints.items() if _is_identifier(hint)}
        return CALLER_ARGUMENTS | marked

    @staticmethod
    def is_data(name: str) -> bool:
        """False: the function itself accepts the names of its arguments."""
        del name
        return False

    def program_objects(self, injected_parameters: InjectedParameters | None) -> frozenset[str]:
        """The names of arguments that are objects of the program, not data.

        These are the parameters that a framework fills in, and the first parameter of a method, `self` or `cls`.
        """
        injected = injected_parameters(self.function) if injected_parameters else frozenset[str]()
        first = self._positional[0] if self._positional else None
        return injected | {first} if first in {"self", "cls"} else injected

    def names_of(self, positional: Sequence[Any]) -> list[str]:
        """The argument name of each positional value. Values of `*args` all have the name of that parameter."""
        names = list(self._positional[: len(positional)])
        variadic_name = names[-1] if names else "arguments"
        return names + [variadic_name] * (len(positional) - len(names))


def _is_identifier(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return any(extra is Identifier or isinstance(extra, Identifier) for extra in get_args(hint)[1:])
    return any(_is_identifier(part) for part in get_args(hint))
