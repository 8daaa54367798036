"""Reading a tool's signature: which argument is which, and which are never transformed."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, get_args, get_origin, get_type_hints

__all__ = ["IDENTIFIERS", "Identifier", "ToolSignature"]

IDENTIFIERS = frozenset({"client_id", "user_id"})
"""Arguments that name the caller of a plain function."""


class Identifier:
    """Marks an opaque id: `person_id: Annotated[str, Identifier]`.

    It is never transformed, since a masked id finds nothing; personal data in it refuses the call.
    """


class ToolSignature:
    """The parameters of one tool, read once and late: frameworks may still add to a function after decorating it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters

    @cached_property
    def _positional(self) -> tuple[str, ...]:
        """The names of what may be passed by its place; `*args`, which takes the rest, comes last."""
        named_only = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        return tuple(name for name, each in self._parameters.items() if each.kind not in named_only)

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """The arguments that are never transformed."""
        function = inspect.unwrap(self.function)
        try:
            hints = get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError):
            # A name that exists for type checkers only: the annotations are read as they are written.
            written = getattr(function, "__annotations__", {}).items()
            return IDENTIFIERS | {name for name, hint in written if re.search(r"\bIdentifier\b", str(hint))}
        return IDENTIFIERS | {name for name, hint in hints.items() if _is_identifier(hint)}

    @cached_property
    def receiver(self) -> str | None:
        """`self` or `cls` of a method: an object of the program, not data."""
        first = next(iter(self._positional), None)
        return first if first in {"self", "cls"} else None

    def names_of(self, positional: Sequence[Any]) -> list[str]:
        """The argument name of each positional value."""
        names = list(self._positional[: len(positional)])
        rest = names[-1] if names else "arguments"
        return names + [rest] * (len(positional) - len(names))


def _is_identifier(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return any(extra is Identifier or isinstance(extra, Identifier) for extra in get_args(hint)[1:])
    return any(_is_identifier(part) for part in get_args(hint))
