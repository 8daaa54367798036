"""The tools, resources, prompts and the completion handler of a server, and what `secure_tool` was given for each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.dependencies import (
    get_dependency_parameters,  # pyright: ignore[reportPrivateImportUsage] - the function FastMCP itself uses
    transform_context_annotations,
)
from fastmcp.tools import Tool

from security_common.tool_policy import SecuredTool, secured_tool_of

__all__ = ["ComponentTable", "injected_parameters", "list_components", "secured_component"]


def secured_component(component: Any) -> SecuredTool | None:
    """What `secure_tool` was given for the function of a tool, resource, template or prompt."""
    function: Callable[..., Any] = getattr(component, "fn", component)
    return secured_tool_of(function)


@lru_cache(maxsize=1024)
def injected_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The parameters that FastMCP fills in: its context and dependencies."""
    return frozenset(get_dependency_parameters(transform_context_annotations(function)))


async def list_components(server: FastMCP[Any]) -> tuple[Sequence[Tool], Sequence[Any], Sequence[Any]]:
    """The tools, the resources with the resource templates, and the prompts of a server."""
    tools = await server.list_tools(run_middleware=False)
    resources = await server.list_resources(run_middleware=False)
    templates = await server.list_resource_templates(run_middleware=False)
    prompts = await server.list_prompts(run_middleware=False)
    return tools, [*resources, *templates], prompts


class ComponentTable:
    """The secured tools behind the components that a request can reach."""

    def __init__(
        self,
        server: FastMCP[Any],
        tools: Sequence[Tool],
        resources: Sequence[Any],
        prompts: Sequence[Any],
        completion_handler: Callable[..., Any] | None,
    ) -> None:
        self._server = server
        self._tools = {tool.name: _secured_tools_of([tool]) for tool in tools}
        self._others = {
            "resources/read": _secured_tools_of(resources),
            "prompts/get": _secured_tools_of(prompts),
            "completion/complete": _secured_tools_of([completion_handler] if completion_handler else []),
        }

    def reachable(self, method: str, params: Mapping[str, Any]) -> Collection[SecuredTool]:
        """The components that a request may run. A tool is known by its name; others are found by FastMCP."""
        if method == "tools/call":
            name = params.get("name")
            return self._tools.get(name, ()) if isinstance(name, str) else ()
        return self._others[method]

    def secured_tool_of_name(self, name: Any) -> SecuredTool | None:
        """The tool of this name, if it was registered before the server was secured."""
        return next(iter(self._tools.get(name, ())), None)

    async def find_late(self, method: str, params: Mapping[str, Any]) -> SecuredTool | None:
        """The component of the request, if it was registered after the server was secured and has a policy."""
        server = self._server
        if method == "tools/call":
            return secured_component(await server.get_tool(params["name"]))
        if method == "prompts/get":
            return secured_component(await server.get_prompt(params["name"]))
        if method == "resources/read":
            uri = str(params["uri"])
            return secured_component(await server.get_resource(uri) or await server.get_resource_template(uri))
        return None


def _secured_tools_of(components: Sequence[Any]) -> Collection[SecuredTool]:
    tools = (secured_component(each) for each in components)
    return frozenset(tool for tool in tools if tool is not None)
