"""The answers that need no upstream: the list of tools, and what the gateway says about itself."""

from typing import Any

from gateway_service.catalogue import Address, Catalogue
from gateway_service.catalogue.catalogue import ALL
from gateway_service.relay.upstream_results import with_result_type
from gateway_service.upstreams import Upstream
from gateway_service.wire.json_rpc import INVALID_PARAMS, EncodedResult, Request, RpcError, encode
from gateway_service.wire.versions import (
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    STATELESS_VERSION,
    implementation,
)
from security_common.tokens import Caller

__all__ = ["UNAVAILABLE", "Listing"]

UNAVAILABLE = "mcp-oauth2-gateway/unavailable"
"""The member of `_meta` with the upstreams whose tools are missing in the list, because they were never reached."""

MAX_INSTRUCTIONS_CHARACTERS = 16 * 1024
LIST_LIFETIME_MS = 60_000
_CAPABILITIES: dict[str, Any] = {"tools": {}, "logging": {}}


class Listing:
    """Answers for one address. Lists depend on the caller's scopes, so clients may cache them for that caller only."""

    def __init__(self, address: Address, catalogue: Catalogue, upstream: Upstream | None) -> None:
        """`upstream` is that of an address with one of them."""
        self._address = address
        self._catalogue = catalogue
        self._upstream = upstream

    def tools(self, request: Request, caller: Caller, *, is_stateless: bool) -> EncodedResult:
        """The result of `tools/list`: all tools in one page. Raises `RpcError` for a cursor, which no list has.

        The definitions are encoded when they change, and not for each request: there may be hundreds of them.
        """
        if request.params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "the cursor is unknown: the list has one page")
        definitions = self._address.encoded_definitions(caller.token.scopes, self._catalogue.requestable_scopes)
        result: dict[str, Any] = {}
        missing = [name for name in self._address.upstreams if not self._catalogue.is_described(name)]
        if missing:
            result["_meta"] = {UNAVAILABLE: missing}
        if is_stateless:
            result |= {"ttlMs": 0 if missing else LIST_LIFETIME_MS, "cacheScope": "private"}
        further = encode(with_result_type(result, is_stateless=is_stateless))[1:]
        separator = b"" if further == b"}" else b","
        return EncodedResult(b'{"tools":[%b]%b%b' % (definitions, separator, further))

    def discovery(self) -> dict[str, Any]:
        """The result of `server/discover` (2026-07-28)."""
        return {
            "supportedVersions": [STATELESS_VERSION, *reversed(HANDSHAKE_VERSIONS)],
            "capabilities": _CAPABILITIES,
            "serverInfo": implementation(),
            "ttlMs": LIST_LIFETIME_MS,
            "cacheScope": "private",
            **self._instructions(),
        }

    def handshake(self, request: Request) -> dict[str, Any]:
        """The result of `initialize`. No session is assigned."""
        requested = request.params.get("protocolVersion")
        return {
            "protocolVersion": requested if requested in HANDSHAKE_VERSIONS else LATEST_HANDSHAKE_VERSION,
            "capabilities": _CAPABILITIES,
            "serverInfo": implementation(),
            **self._instructions(),
        }

    def _instructions(self) -> dict[str, Any]:
        if self._address.name == ALL:
            names = ", ".join(self._address.upstreams)
            return {"instructions": f"Tools of several servers: {names}. Each name begins with that of its server."}
        approved = self._catalogue.approved(self._address.name)
        instructions = approved.instructions if approved else self._upstream.instructions if self._upstream else None
        return {"instructions": instructions[:MAX_INSTRUCTIONS_CHARACTERS]} if instructions else {}
