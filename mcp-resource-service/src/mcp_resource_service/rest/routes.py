"""The endpoints with a token: server information, greeting and MCP. They are plain ASGI routes.

As FastAPI path operations they would cost 45 µs more CPU time per request: half of what a request to `/hello` costs.
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse

from mcp_resource_service.scopes import ACCESS_SCOPE
from security_common.edge import Application
from security_common.guard.policy import PROTECTED_RESOURCE_METADATA_PATH
from security_common.service.read_routes import READ
from security_common.service.web_application import ICON_MEDIA_TYPE, ICON_PATH, OPENAPI_PATH, WebApplication

__all__ = ["SECURITY_SCHEME", "add_routes"]

GREETING = "MCP OAuth2 데모에서 안녕하세요!"
# The name of the security scheme in the OpenAPI document.
SECURITY_SCHEME = "access_token"

REFUSALS = {
    "400": {"description": "A header or the body is malformed or ambiguous."},
    "401": {"description": "The token is missing or not valid (RFC 6750 section 3)."},
    "403": {"description": "A scope is missing: `insufficient_scope` names every scope that the request needs."},
    "421": {"description": "The Host header names another server."},
    "429": {"description": "Too many requests of this caller."},
    "503": {"description": "Temporarily unavailable: try again after `Retry-After` seconds."},
}

BODY_REFUSALS = {
    "408": {"description": "The body did not arrive in time."},
    "413": {"description": "The body is too large."},
}


def add_routes(app: WebApplication, information: Mapping[str, Any], *, mcp_path: str, mcp: Application) -> None:
    """Adds `/`, `/hello` and the MCP endpoint to the application and to its OpenAPI document."""
    # Each response is the same for every caller, so it is created once.
    app.add_asgi_route(
        "/",
        JSONResponse(information),
        methods=READ,
        operations={"get": _operation("information", "Information about this server", "application/json")},
    )
    app.add_asgi_route(
        "/hello",
        PlainTextResponse(GREETING),
        methods=READ,
        operations={"get": _operation("hello", "A greeting", "text/plain")},
    )
    app.add_asgi_route(mcp_path, mcp, methods=("POST",), operations={"post": _mcp_operation()})
    app.add_asgi_route(f"{mcp_path}/", mcp, methods=("POST",))  # many users type the slash
    _describe_open_paths(app, mcp_path)


def _describe_open_paths(app: WebApplication, mcp_path: str) -> None:
    """Describes the paths without a token that are not path operations: the guard and the application serve them."""
    open_paths = {
        PROTECTED_RESOURCE_METADATA_PATH: (
            "protected_resource_metadata",
            "Protected resource metadata (RFC 9728)",
            "application/json",
        ),
        f"{PROTECTED_RESOURCE_METADATA_PATH}{mcp_path}": (
            "protected_resource_metadata_of_path",
            "Protected resource metadata, at the path of the resource",
            "application/json",
        ),
        OPENAPI_PATH: ("openapi", "This document", "application/json"),
        ICON_PATH: ("icon", "The icon", ICON_MEDIA_TYPE),
    }
    for path, (operation_id, summary, media_type) in open_paths.items():
        responses: dict[str, Any] = {"200": {"description": summary, "content": {media_type: {}}}}
        operation: dict[str, Any] = {
            "tags": ["discovery"],
            "operationId": operation_id,
            "summary": summary,
            "responses": responses,
        }
        app.describe_path(path, {"get": operation})


def _operation(operation_id: str, summary: str, *media_types: str) -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {} for media_type in media_types}
    return {
        "tags": ["resource"],
        "operationId": operation_id,
        "summary": summary,
        "security": [{SECURITY_SCHEME: [ACCESS_SCOPE]}],
        "responses": {"200": {"description": summary, "content": content}, **REFUSALS},
    }


def _mcp_operation() -> dict[str, Any]:
    operation = _operation("mcp", "One JSON-RPC message of MCP", "application/json", "text/event-stream")
    operation["description"] = (
        "Streamable HTTP without sessions, for the protocol versions 2026-07-28 and 2025-11-25. Tools can need more"
        " scopes; the resource policy://tools lists them."
    )
    message = {"type": "object", "required": ["jsonrpc", "method"]}
    operation["responses"] |= BODY_REFUSALS
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": message}}}
    return operation
