"""The MCP servers behind the gateway, over Streamable HTTP.

    Upstream ─▶ CircuitBreaker, slots ─▶ era: probed once, and again at each refresh
             ─▶ HttpExchange: one POST and its response, within limits of size, time and number
                 ├ 2026-07-28: every request is complete
                 └ older versions: LegacySessions, one session per caller, made again once if the server lost it

errors has what a call fails with, each with the code that the client and the audit trail get.
"""

from gateway_service.upstreams.errors import UpstreamFailure
from gateway_service.upstreams.http_exchange import HttpConnections
from gateway_service.upstreams.upstream import Upstream, UpstreamCall

__all__ = ["HttpConnections", "Upstream", "UpstreamCall", "UpstreamFailure"]
