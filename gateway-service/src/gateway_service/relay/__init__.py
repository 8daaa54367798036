"""Answers the requests of clients. The guard has verified token and scopes before.

    McpEndpoint: one address ─▶ header rules ─▶ method
        tools/list, prompts/list, initialize …    listing: from the catalogue; live_lists: from the upstream
        tools/call                                ToolCalls: finds the tool
        prompts/get, resources/read, completion   ComponentRequests: finds the component and its rule
                                                  ─▶ RelayedCalls: policy ─▶ upstream ─▶ policy ─▶ audit event ─▶ answer
                                                     ├ relayed_notifications: progress, log messages ─▶ ClientStream
                                                     └ input_requests: relayed to the user, with sealed state

component_calls is what is particular to each kind of component. upstream_results brings results of upstreams into the
form of the client's protocol version. running_requests lets clients of older versions cancel a call, and
list_subscriptions reports changed lists to the others.
"""

from gateway_service.relay.call_records import CallRecords
from gateway_service.relay.component_requests import ComponentRequests
from gateway_service.relay.endpoint import McpEndpoint
from gateway_service.relay.input_requests import InputRequests
from gateway_service.relay.relayed_calls import RelayedCalls
from gateway_service.relay.running_requests import RunningRequests
from gateway_service.relay.tool_calls import ToolCalls

__all__ = [
    "CallRecords",
    "ComponentRequests",
    "InputRequests",
    "McpEndpoint",
    "RelayedCalls",
    "RunningRequests",
    "ToolCalls",
]
