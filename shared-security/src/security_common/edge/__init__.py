"""The HTTP edge: everything that has to happen before any application reads a request. Pure ASGI, no web framework.

    uvicorn, BoundedConnection ─▶ Edge or Guard ─▶ application
     │ head: 10 s, 64 KiB          │ path without control characters, head: 32 KiB
     │ unread responses            │ client address, trace id
     │ pipelined requests          │ body: size and time
     └ connections per address     └ Refusal ─▶ response

asgi                the ASGI types and a complete response
client_address      the client's IP address behind declared proxies
request_context     headers, address, trace id and body of one request
request_body        a body within its size and time
refusals            what the edge refuses, with status and error code
content_negotiation which media types the client accepts
entity_tags         whether the client has the current version of a document
middleware          `Edge`, for a service; the guard does the same work itself
connection_limits   limits in uvicorn's HTTP protocol class; needs the extra `service`
"""

from security_common.edge.asgi import Application, HttpResponse, Message, Receive, Scope, Send
from security_common.edge.client_address import UNKNOWN_ADDRESS, ClientAddressReader, network_of
from security_common.edge.middleware import Edge, EdgeLimits
from security_common.edge.refusals import BodyTooLarge, BodyTooSlow, HeadersTooLarge, InvalidRequest, NotFound, Refusal
from security_common.edge.request_body import ClientDisconnected
from security_common.edge.request_context import (
    RequestContext,
    RequestHeaders,
    current_request,
    require_request_context,
)

__all__ = [
    "UNKNOWN_ADDRESS",
    "Application",
    "BodyTooLarge",
    "BodyTooSlow",
    "ClientAddressReader",
    "ClientDisconnected",
    "Edge",
    "EdgeLimits",
    "HeadersTooLarge",
    "HttpResponse",
    "InvalidRequest",
    "Message",
    "NotFound",
    "Receive",
    "Refusal",
    "RequestContext",
    "RequestHeaders",
    "Scope",
    "Send",
    "current_request",
    "network_of",
    "require_request_context",
]
