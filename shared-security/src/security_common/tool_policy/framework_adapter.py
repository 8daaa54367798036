"""One request of a framework such as FastMCP, as far as the secured calls in it need it."""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from security_common.tool_policy.secured_tool import SecuredTool

if TYPE_CHECKING:
    from security_common.tool_policy.secured_call import SecuredCall

__all__ = ["FrameworkAdapter", "current_adapter"]


def _has_no_replies(protect: Callable[[Any], Any]) -> None:
    del protect


@dataclass(slots=True)
class FrameworkAdapter:
    """One request of a framework.

    tool_name             the name under which the framework registered the tool; None for resources and prompts
    components            the tools whose results the framework protects and records itself, in their wire form
    injected_parameters   returns the parameters of a function that the framework fills in itself
    convert_exception     returns the exception that the framework understands for one that leaves the call
    protect_replies       applies a function to the client's answers to earlier requests, before the tool reads them
    is_recorded           whether the audit events of the component's calls have been handed to the journal
    calls                 the secured calls of this request so far; a framework may call a tool again after a failure
    """

    tool_name: str | None
    components: Collection[SecuredTool]
    injected_parameters: Callable[[Callable[..., Any]], frozenset[str]]
    convert_exception: Callable[[Exception], Exception]
    protect_replies: Callable[[Callable[[Any], Any]], None] = _has_no_replies
    is_recorded: bool = False
    calls: "list[SecuredCall]" = field(default_factory=list["SecuredCall"])

    @property
    def call(self) -> "SecuredCall | None":
        """The latest secured call of this request, or None if none was reached (yet)."""
        return self.calls[-1] if self.calls else None

    @property
    def component_calls(self) -> "list[SecuredCall]":
        """The calls whose results the framework protects and records."""
        return [call for call in self.calls if call.is_component]

    def release_references(self) -> None:
        """Ends the reference cycle of request, session, adapter and call.

        Otherwise all of them would wait for the garbage collector, which stops the process when it has to collect
        thousands of requests at once.
        """
        self.protect_replies = _has_no_replies
        for call in self.calls:
            call.adapter = None


current_adapter: ContextVar[FrameworkAdapter | None] = ContextVar("current_adapter", default=None)
