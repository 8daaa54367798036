"""The MCP servers behind the gateway.

    Upstream ─▶ CircuitBreaker, slots ─▶ ConnectionPool: one connection per caller, or one for all
             ─▶ era: found out with the first connection, and again at each refresh
             ─▶ Connection (transport): requests with notifications while they run, cancellation, close
                 ├ http_transport: Streamable HTTP; a POST for each message, sessions of older servers
                 └ multiplexed_connection: the answers to many requests on one stream
                    ├ stdio_transport: programs
                    └ sse_transport: HTTP+SSE, the transport of 2024-11-05

transport is the contract, and errors has what a call fails with, each with the code for the client and the audit trail.
"""

from gateway_service.upstreams.errors import UpstreamFailure
from gateway_service.upstreams.http_exchange import HttpConnections
from gateway_service.upstreams.transport import Notification
from gateway_service.upstreams.upstream import Upstream, UpstreamCall

__all__ = ["HttpConnections", "Notification", "Upstream", "UpstreamCall", "UpstreamFailure"]
