"""Lists of tools that are requested from the upstream for each caller, because they differ from caller to caller."""

import asyncio
from collections.abc import Mapping, Sequence

from gateway_service.catalogue import Address, Catalogue
from gateway_service.catalogue.definitions import OfferedDefinitions
from gateway_service.catalogue.upstream_tools import UpstreamTools
from gateway_service.upstreams import Upstream
from security_common.errors import SecurityError
from security_common.tokens import Caller
from security_common.tool_policy import owner_of

__all__ = ["LiveLists"]


class LiveLists:
    """Asks the upstreams of one address that have `list: live`. What they answer is not kept for other callers."""

    def __init__(self, address: Address, catalogue: Catalogue, upstreams: Mapping[str, Upstream]) -> None:
        self._catalogue = catalogue
        self._upstreams = [upstreams[name] for name in address.upstreams if catalogue.is_live(name)]
        self.names = frozenset(upstream.name for upstream in self._upstreams)

    async def request(self, caller: Caller) -> Sequence[UpstreamTools]:
        """The tools of the upstreams that have answered. They can be called from now on, under their rules."""
        owner = owner_of(caller.token.issuer, caller.token.subject)
        answers = await asyncio.gather(*(self._request_one(upstream, owner) for upstream in self._upstreams))
        return [answer for answer in answers if answer is not None]

    async def _request_one(self, upstream: Upstream, owner: str) -> UpstreamTools | None:
        try:
            definitions = await upstream.list_items("tools/list", "tools", owner=owner)
        except SecurityError:
            return None
        offered = OfferedDefinitions(tools=definitions)
        tools = await asyncio.to_thread(self._catalogue.prepare, upstream.name, offered)
        self._catalogue.add_live(tools)
        return tools
