"""Answers the requests of clients. The guard has verified token and scopes before.

    McpEndpoint: one address ─▶ header rules ─▶ method
        tools/list, initialize, server/discover   listing: from the catalogue
        tools/call                                ToolCalls: policy ─▶ upstream ─▶ policy ─▶ audit event ─▶ answer

upstream_results brings results of upstreams into the form of the client's protocol version.
"""

from gateway_service.relay.endpoint import McpEndpoint
from gateway_service.relay.tool_calls import ToolCalls

__all__ = ["McpEndpoint", "ToolCalls"]
