"""Asks an upstream for its definitions."""

import asyncio
from typing import Any, cast

from gateway_service.catalogue.definitions import OfferedDefinitions
from gateway_service.upstreams import Upstream
from gateway_service.upstreams.errors import UpstreamError
from gateway_service.wire.json_rpc import METHOD_NOT_FOUND
from security_common.strict_json import WrittenNumber

__all__ = ["fetch_definitions"]


async def fetch_definitions(upstream: Upstream) -> OfferedDefinitions:
    """Everything that the upstream offers. Raises `SecurityError`.

    Prompts and resources are requested only if the upstream declares the capability. Tools are requested in any case,
    because servers without tools are rare.
    """
    described = await upstream.probe()
    tools = await _list(upstream, "tools/list", "tools")
    prompts: list[Any] = []
    resources: list[Any] = []
    templates: list[Any] = []
    if "prompts" in described.capabilities:
        prompts = await _list(upstream, "prompts/list", "prompts")
    if "resources" in described.capabilities:
        resources = await _list(upstream, "resources/list", "resources")
        templates = await _list(upstream, "resources/templates/list", "resourceTemplates")
    tools, prompts, resources, templates = await asyncio.to_thread(
        _without_spelling, [tools, prompts, resources, templates]
    )
    return OfferedDefinitions(
        protocol_version=described.era.value,
        instructions=described.instructions,
        tools=tools,
        prompts=prompts,
        resources=resources,
        resource_templates=templates,
    )


async def _list(upstream: Upstream, method: str, member: str) -> list[Any]:
    """The items; none if the server does not know the method, as servers without templates often do not."""
    try:
        return await upstream.list_items(method, member)
    except UpstreamError as error:
        if error.code != METHOD_NOT_FOUND:
            raise
        return []


def _without_spelling(value: Any) -> Any:
    """The value with numbers in place of their spelling, which has no meaning in a definition."""
    if isinstance(value, dict):
        return {name: _without_spelling(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_without_spelling(each) for each in cast("list[Any]", value)]
    return value.number if isinstance(value, WrittenNumber) else value
