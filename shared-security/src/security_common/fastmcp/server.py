"""`secure_server`: makes the policy apply to every component of a FastMCP server."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from fastmcp.server.middleware.response_limiting import ResponseLimitingMiddleware
from fastmcp.server.transforms import GetToolNext, Transform
from fastmcp.tools import Tool
from fastmcp.utilities.versions import VersionSpec

from security_common.fastmcp.call_errors import install_log_filters
from security_common.fastmcp.components import ComponentTable, list_components, secured_component
from security_common.fastmcp.middleware import PolicyMiddleware
from security_common.fastmcp.wire_policy import KNOWN_METHODS, WirePolicy
from security_common.tool_policy import ToolPolicyError
from security_common.tool_scopes import ScopeRule, ToolScopes

__all__ = ["UnsecuredComponent", "secure_server"]


class UnsecuredComponent(ToolPolicyError):
    """A part of the server is not decorated with `secure_tool`, or could send data that the policy does not see."""

    error = "unsecured_component"


def secure_server(server: FastMCP[Any], *, attainable_scopes: Collection[str] = ()) -> ToolScopes:
    """Applies the policy to a server whose components are all registered. Returns the scopes of its tools.

    A component that needs scopes is listed for a caller who has them or can still get them (`attainable_scopes`).
    Raises UnsecuredComponent if a component is not decorated with `secure_tool` or may run as a background task, and
    if the server could send data in a way that the policy does not cover.
    """
    # The caller may be inside an event loop already, so the components are listed on a loop of another thread.
    with ThreadPoolExecutor(max_workers=1) as thread:
        tools, resources, prompts = thread.submit(asyncio.run, list_components(server)).result()
    for component in (*tools, *resources, *prompts):
        _require_secured(component)
    completion_handler = _completion_handler(server)
    _require_known_methods(server)
    _require_compatible_middleware(server)
    components = ComponentTable(server, tools, resources, prompts, completion_handler)
    low_level_server = server._mcp_server  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    low_level_server.middleware.insert(0, WirePolicy(server, components))
    server.add_middleware(PolicyMiddleware(attainable_scopes))
    server.add_transform(_KnownTools(tools))
    _set_input_schemas(server, tools)
    install_log_filters()
    return _tool_scopes(tools)


def _require_secured(component: Any) -> None:
    if secured_component(component) is None:
        raise UnsecuredComponent(f"{component.name} has no policy", hint="decorate its function with secure_tool")
    if component.task_config.supports_tasks():
        # A background worker has neither scopes nor subject of the token, and its messages bypass the policy.
        raise UnsecuredComponent(f"{component.name} may run in the background", hint="register it with task=False")


def _completion_handler(server: FastMCP[Any]) -> Callable[..., Any] | None:
    """The function that completes arguments, or None. Raises UnsecuredComponent if it is not decorated."""
    handler = server._completion_handler  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if handler is not None and secured_component(handler) is None:
        raise UnsecuredComponent("the completion handler has no policy", hint="decorate its function with secure_tool")
    return handler


def _require_known_methods(server: FastMCP[Any]) -> None:
    """Raises UnsecuredComponent if the server answers a request method that the policy does not cover."""
    handlers = server._mcp_server._request_handlers  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    unknown = sorted(handlers.keys() - KNOWN_METHODS)
    if unknown:
        raise UnsecuredComponent(
            f"the server answers the methods {', '.join(unknown)}, whose results have no policy",
            hint="remove the extensions or handlers that serve them",
        )


def _require_compatible_middleware(server: FastMCP[Any]) -> None:
    """Raises UnsecuredComponent for a middleware that would answer or cut results before they are protected."""
    for middleware in server.middleware:
        if isinstance(middleware, ResponseCachingMiddleware):
            # Its cache distinguishes callers by FastMCP's own access token, and a cached answer does not run the tool,
            # so that neither scopes nor the audit trail would apply to it.
            raise UnsecuredComponent("ResponseCachingMiddleware answers without the tool", hint="cache inside the tool")
        if isinstance(middleware, ResponseLimitingMiddleware):
            # The part of a value that is left at the cut cannot be recognized as personal data.
            raise UnsecuredComponent("ResponseLimitingMiddleware cuts results", hint="limit the result inside the tool")


class _KnownTools(Transform):
    """Finds tools in a dict.

    FastMCP's own search queries every provider in a task of its own, which takes a sixth of the CPU time of a call.
    """

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
