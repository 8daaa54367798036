"""The state of one request of a framework, such as FastMCP, that its secured calls share."""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from security_common.tool_policy.secured_tool import SecuredTool

if TYPE_CHECKING:
    from security_common.tool_policy.secured_call import SecuredCall

__all__ = ["FrameworkRequest", "current_framework_request"]


def _has_no_client_responses(protect: Callable[[Any], Any]) -> None:
    del protect


@dataclass(slots=True)
class FrameworkRequest:
    """The state of one request of a framework that its secured calls share.

    tool_name                  the name under which the framework registered the tool; None for resources and prompts
    components                 the tools whose results the integration protects and records itself, in their wire form
    injected_parameters        returns the parameters of a function that the framework fills in itself
    convert_exception          returns the exception that the framework expects for one that leaves the call
    protect_client_responses   applies a function to the client's responses to earlier requests, before the tool reads
                               them
    recording_began            whether recording the components' calls has begun; if so, a cancelled request does not
                               record them again
    calls                      the secured calls of this request so far; a framework may call a tool again after a
                               failure

    The integration is `fastmcp.WirePolicy` for FastMCP.
    """

    tool_name: str | None
    components: Collection[SecuredTool]
    injected_parameters: Callable[[Callable[..., Any]], frozenset[str]]
    convert_exception: Callable[[Exception], Exception]
    protect_client_responses: Callable[[Callable[[Any], Any]], None] = _has_no_client_responses
    recording_began: bool = False
    calls: "list[SecuredCall]" = field(default_factory=list["SecuredCall"])

    @property
    def call(self) -> "SecuredCall | None":
        """The latest secured call of this request, or None if none was reached (yet)."""
        return self.calls[-1] if self.calls else None

    @property
    def component_calls(self) -> "list[SecuredCall]":
        """The calls whose results the integration protects and records."""
        return [call for call in self.calls if call.is_component_call]

    def release_references(self) -> None:
        """Ends the reference cycle of HTTP request, session, this object and call.

        Otherwise all of them would wait for the garbage collector, which stops the process when it has to collect
        thousands of requests at once.
        """
        self.protect_client_responses = _has_no_client_responses
        for call in self.calls:
            call.framework_request = None


current_framework_request: ContextVar[FrameworkRequest | None] = ContextVar("current_framework_request", default=None)
