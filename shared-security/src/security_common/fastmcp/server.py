"""`secure_server`: makes the policy apply to every component of a FastMCP server."""

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.transforms import GetToolNext, Transform
from fastmcp.tools import Tool
from fastmcp.utilities.versions import VersionSpec

from security_common.fastmcp.call_errors import install_log_filters
from security_common.fastmcp.middleware import PolicyMiddleware, secured_component
from security_common.tool_policy import ToolPolicyError
from security_common.tool_scopes import ScopeRule, ToolScopes

__all__ = ["UnsecuredComponent", "secure_server"]


class UnsecuredComponent(ToolPolicyError):
    """A tool, resource or prompt is not decorated with `secure_tool`, or may run where the policy does not apply."""

    error = "unsecured_component"


def secure_server(server: FastMCP[Any], *, attainable_scopes: Collection[str] = ()) -> ToolScopes:
    """Applies the policy to a server whose components are all registered. Returns the scopes of its tools.

    A component that needs scopes is listed for a caller who has them or can still get them (`attainable_scopes`).
    Raises UnsecuredComponent if a component is not decorated with `secure_tool` or may run as a background task.
    """
    # The caller may be inside an event loop already, so the components are listed on a loop of another thread.
    with ThreadPoolExecutor(max_workers=1) as thread:
        tools, others = thread.submit(asyncio.run, _list_components(server)).result()
    for component in (*tools, *others):
        _require_secured(component)
    server.add_middleware(PolicyMiddleware(attainable_scopes))
    server.add_transform(_KnownTools(tools))
    _set_input_schemas(server, tools)
    install_log_filters()
    return _tool_scopes(tools)


async def _list_components(server: FastMCP[Any]) -> tuple[Sequence[Tool], Sequence[Any]]:
    tools = await server.list_tools(run_middleware=False)
    resources = await server.list_resources(run_middleware=False)
    templates = await server.list_resource_templates(run_middleware=False)
    prompts = await server.list_prompts(run_middleware=False)
    return tools, [*resources, *templates, *prompts]


def _require_secured(component: Any) -> None:
    if secured_component(component) is None:
        raise UnsecuredComponent(f"{component.name} has no policy", hint="decorate its function with secure_tool")
    if component.task_config.supports_tasks():
        # A background worker has neither scopes nor subject of the token, and its messages bypass the policy.
        raise UnsecuredComponent(f"{component.name} may run in the background", hint="register it with task=False")


class _KnownTools(Transform):
    """Finds tools in a dict. FastMCP's own search asks every provider in a task of its own: a sixth of a call's CPU."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    async def get_tool(self, name: str, call_next: GetToolNext, *, version: VersionSpec | None = None) -> Tool | None:
        known = self._tools.get(name) if version is None else None
        return known or await call_next(name, version=version)


def _set_input_schemas(server: FastMCP[Any], tools: Sequence[Tool]) -> None:
    """Provides the schemas with which the SDK checks the Mcp-Param headers.

    FastMCP does not keep the schemas of a server that has a transform, and the SDK then skips the check. There is no
    public interface for them; a test checks that this attribute still works.
    """
    schemas = {tool.name: tool.parameters for tool in tools}

    def find_schema(name: str) -> dict[str, Any] | None:
        return schemas.get(name)

    server._mcp_server.get_tool_input_schema = find_schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _tool_scopes(tools: Sequence[Tool]) -> ToolScopes:
    """The scope rule of each tool that needs scopes of its own."""
    tool_scopes: dict[str, ScopeRule] = {}
    for tool in tools:
        secured = secured_component(tool)
        if secured is None:
            continue
        if secured.scopes.by_argument:
            tool_scopes[tool.name] = secured.scopes
        elif secured.scopes.always:
            tool_scopes[tool.name] = secured.scopes.always
    return tool_scopes
