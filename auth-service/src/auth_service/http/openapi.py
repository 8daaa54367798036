"""The OpenAPI document, made from the same endpoints as the router, so that neither can forget one."""

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from auth_service.http.messages import Answer, Endpoint, HttpRequest

__all__ = ["ERROR_RESPONSES", "form_body", "json_response", "openapi_endpoint"]

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "The code of the RFC."},
        "error_description": {"type": "string", "description": "What was wrong, in ASCII."},
    },
}


def json_response(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


def form_body(properties: Mapping[str, Mapping[str, Any]], required: Iterable[str]) -> dict[str, Any]:
    """A form body. Repeated parameters are refused, unknown ones are not read (RFC 6749 section 3.2)."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


ERROR_RESPONSES: Mapping[str, Any] = {
    status: json_response(text, {"$ref": "#/components/schemas/Error"})
    for status, text in {
        "400": "The request is wrong; `error` says how.",
        "401": "The client or the token is not accepted.",
        "413": "The body is too large.",
        "429": "Too many attempts; Retry-After says how long to wait.",
        "503": "Redis or the audit journal is away; Retry-After says how long to wait.",
    }.items()
}


def openapi_endpoint(endpoints: Iterable[Endpoint], *, issuer: str) -> Endpoint:
    """`/openapi.json`: OpenAPI 3.1 of these endpoints and of itself."""

    async def answer(_request: HttpRequest) -> Answer:
        return Answer(body=body, media_type="application/json", headers=(("cache-control", "public, max-age=300"),))

    operation = {
        "operationId": "openapi",
        "summary": "This document",
        "tags": ["discovery"],
        "responses": {"200": json_response("OpenAPI 3.1", {"type": "object"})},
    }
    endpoint = Endpoint(path="/openapi.json", handler=answer, operations={"get": operation}, cross_origin=True)
    body = json.dumps(_document((*endpoints, endpoint), issuer), ensure_ascii=False, separators=(",", ":")).encode()
    return endpoint


def _document(endpoints: Iterable[Endpoint], issuer: str) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "auth-service",
            "summary": "OAuth 2.1 and OpenID Connect for MCP servers",
            "version": version("mcp-oauth2-auth-service"),
        },
        "servers": [{"url": issuer}],
        "paths": {endpoint.path: dict(endpoint.operations) for endpoint in endpoints},
        "components": {
            "schemas": {"Error": _ERROR_SCHEMA},
            "securitySchemes": {"clientBasic": {"type": "http", "scheme": "basic"}},
        },
    }
