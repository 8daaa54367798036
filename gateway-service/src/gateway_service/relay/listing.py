"""The lists, and what the gateway says about itself. Only live lists need an upstream."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway_service.catalogue import Address, Catalogue, GatewayTool, OfferedComponents
from gateway_service.catalogue.catalogue import ALL
from gateway_service.relay.client_request import ClientRequest
from gateway_service.relay.live_lists import LiveLists
from gateway_service.relay.upstream_results import with_result_type
from gateway_service.upstreams import Upstream
from gateway_service.wire.json_rpc import INVALID_PARAMS, EncodedResult, Request, RpcError, encode
from gateway_service.wire.versions import (
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    SERVER_INFO,
    STATELESS_VERSION,
    implementation,
)
from security_common.tokens import Caller

__all__ = ["UNAVAILABLE", "Listing"]

UNAVAILABLE = "mcp-oauth2-gateway/unavailable"
"""The member of `_meta` with the upstreams whose tools are missing in the list, because they were not reached."""

LIST_LIFETIME_MS = 60_000


class Listing:
    """Answers for one address. Lists depend on the caller's scopes, so clients may cache them for that caller only."""

    def __init__(
        self, address: Address, catalogue: Catalogue, components: OfferedComponents, upstreams: Mapping[str, Upstream]
    ) -> None:
        """`upstreams` are all of the gateway, by name."""
        self._address = address
        self._catalogue = catalogue
        self._components = components.addresses[address.name]
        self._live = LiveLists(address, catalogue, upstreams)
        self._capabilities: dict[str, Any] = {"tools": {}, "logging": {}}
        self.has_live_tools = bool(self._live.names)
        self.has_prompts = components.has_prompts(address.upstreams)
        self.has_resources = components.has_resources(address.upstreams)
        if self.has_prompts:
            self._capabilities["prompts"] = {}
        if self.has_resources:
            self._capabilities["resources"] = {}
        if self.has_prompts or self.has_resources:
            self._capabilities["completions"] = {}
        lists: dict[str, Callable[[ClientRequest], dict[str, Any] | EncodedResult]] = {"tools/list": self._list_tools}
        if self.has_prompts:
            lists["prompts/list"] = self._list_prompts
        if self.has_resources:
            lists |= {"resources/list": self._list_resources, "resources/templates/list": self._list_templates}
        # Older versions need a session for notifications outside of a request.
        changing = {
            name: {"listChanged": True} for name in ("tools", "prompts", "resources") if name in self._capabilities
        }
        self._stateless_capabilities = self._capabilities | changing
        self._stateless_answers = {**lists, "server/discover": self._discover}
        # There is no session in which a level could be kept, so these clients get log messages from `info`.
        self._handshake_answers = {
            **lists,
            "initialize": self._initialize,
            "ping": _empty_result,
            "logging/setLevel": _empty_result,
        }

    async def request_tools(self, client: ClientRequest) -> EncodedResult:
        """The result of `tools/list` with the tools that the upstreams have for this caller. Raises `RpcError`."""
        _require_first_page(client.message)
        answered = {each.upstream: each.tools for each in await self._live.request(client.caller)}
        unavailable = [
            name
            for name in self._address.upstreams
            if not (name in answered if name in self._live.names else self._catalogue.is_described(name))
        ]
        live: dict[str, Mapping[str, GatewayTool]] = {name: {} for name in self._live.names}
        return self._tools(client, live | answered, unavailable=unavailable)

    def answer(self, client: ClientRequest) -> dict[str, Any] | EncodedResult | None:
        """The result of a request, or None if its method is not one of these. Raises `RpcError`."""
        answers = self._stateless_answers if client.is_stateless else self._handshake_answers
        answer = answers.get(client.message.method)
        return answer(client) if answer is not None else None

    def _list_tools(self, client: ClientRequest) -> EncodedResult:
        """All tools in one page.

        The definitions are encoded when they change, and not for each request: there may be hundreds of them.
        """
        _require_first_page(client.message)
        unavailable = [name for name in self._address.upstreams if not self._catalogue.is_described(name)]
        return self._tools(client, None, unavailable=unavailable)

    def _tools(
        self, client: ClientRequest, live: Mapping[str, Mapping[str, GatewayTool]] | None, *, unavailable: Sequence[str]
    ) -> EncodedResult:
        """The result. `unavailable` are upstreams whose tools are not known, or could not be requested."""
        definitions = self._address.encoded_definitions(
            client.caller.token.scopes, self._catalogue.requestable_scopes, live
        )
        result: dict[str, Any] = {}
        if unavailable:
            result["_meta"] = {UNAVAILABLE: unavailable}
        if client.is_stateless:
            lifetime_ms = LIST_LIFETIME_MS if live is None and not unavailable else 0
            result |= {"ttlMs": lifetime_ms, "cacheScope": "private"}
        further = encode(with_result_type(result, is_stateless=client.is_stateless))[1:]
        separator = b"" if further == b"}" else b","
        return EncodedResult(b'{"tools":[%b]%b%b' % (definitions, separator, further))

    def _list_prompts(self, client: ClientRequest) -> dict[str, Any]:
        return self._list(client, "prompts", self._components.list_prompts(self._scopes(client.caller)))

    def _list_resources(self, client: ClientRequest) -> dict[str, Any]:
        return self._list(client, "resources", self._components.list_resources(self._scopes(client.caller)))

    def _list_templates(self, client: ClientRequest) -> dict[str, Any]:
        return self._list(client, "resourceTemplates", self._components.list_templates(self._scopes(client.caller)))

    def _scopes(self, caller: Caller) -> frozenset[str] | None:
        """The scopes that the caller has or can get; None for every scope."""
        requestable = self._catalogue.requestable_scopes
        return None if requestable is None else requestable.union(caller.token.scopes)

    @staticmethod
    def _list(client: ClientRequest, member: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        _require_first_page(client.message)
        result: dict[str, Any] = {member: items}
        return result | {"ttlMs": LIST_LIFETIME_MS, "cacheScope": "private"} if client.is_stateless else result

    def _discover(self, client: ClientRequest) -> dict[str, Any]:
        """The result of `server/discover` (2026-07-28)."""
        del client
        return {
            "supportedVersions": [STATELESS_VERSION, *reversed(HANDSHAKE_VERSIONS)],
            "capabilities": self._stateless_capabilities,
            "serverInfo": implementation(),
            "_meta": {SERVER_INFO: implementation()},
            "ttlMs": LIST_LIFETIME_MS,
            "cacheScope": "private",
            **self._instructions(),
        }

    def _initialize(self, client: ClientRequest) -> dict[str, Any]:
        """The result of `initialize`. No session is assigned."""
        requested = client.message.params.get("protocolVersion")
        return {
            "protocolVersion": requested if requested in HANDSHAKE_VERSIONS else LATEST_HANDSHAKE_VERSION,
            "capabilities": self._capabilities,
            "serverInfo": implementation(),
            **self._instructions(),
        }

    def _instructions(self) -> dict[str, Any]:
        if self._address.name == ALL:
            names = ", ".join(self._address.upstreams)
            return {"instructions": f"Tools of several servers: {names}. Each name begins with that of its server."}
        instructions = self._catalogue.instructions(self._address.name)
        return {"instructions": instructions} if instructions else {}


def _require_first_page(request: Request) -> None:
    if request.params.get("cursor") is not None:
        raise RpcError(INVALID_PARAMS, "the cursor is unknown: the list has one page")


def _empty_result(client: ClientRequest) -> dict[str, Any]:
    del client
    return {}
