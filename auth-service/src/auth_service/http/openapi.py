"""Parts of the OpenAPI document that many operations share."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = [
    "CLIENT_AUTHENTICATION",
    "COMPONENTS",
    "ERROR_CONTENT",
    "ERROR_RESPONSES",
    "PAGE_RESPONSES",
    "Responses",
    "json_result",
]

# The `responses` argument of a FastAPI route.
Responses: TypeAlias = dict[int | str, dict[str, Any]]

COMPONENTS: Mapping[str, Any] = {
    "schemas": {
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {"type": "string", "description": "The error code of the RFC."},
                "error_description": {"type": "string", "description": "What is wrong with the request, in ASCII."},
            },
        }
    },
    "securitySchemes": {
        "clientBasic": {"type": "http", "scheme": "basic"},
        "bearer": {"type": "http", "scheme": "bearer"},
    },
}
"""The components that the operations refer to."""

ERROR_CONTENT: Mapping[str, Any] = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}

# A confidential client uses HTTP Basic or parameters of the form, a public client sends its client_id only.
CLIENT_AUTHENTICATION: Mapping[str, Any] = {"security": [{"clientBasic": []}, {}]}

_HTML: Mapping[str, Any] = {"text/html": {"schema": {"type": "string"}}}


def _with_content(descriptions: Mapping[int | str, str], content: Mapping[str, Any]) -> Responses:
    return {status: {"description": text, "content": dict(content)} for status, text in descriptions.items()}


ERROR_RESPONSES: Responses = _with_content(
    {
        400: "The request is invalid; `error` and `error_description` say why.",
        401: "The client or the token is not accepted.",
        413: "The body is too large.",
        429: "Too many attempts; Retry-After says how many seconds to wait.",
        503: "Redis or the audit journal is not available; Retry-After says how many seconds to wait.",
    },
    ERROR_CONTENT,
)
"""The errors of an endpoint that answers with JSON."""

PAGE_RESPONSES: Responses = {
    **_with_content({200: "The page."}, _HTML),
    303: {"description": "A redirect to the next page or back to the client."},
    **_with_content(
        {
            400: "A page: the request is invalid or has expired.",
            403: "A page: the request or the form belongs to another browser.",
            413: "A page: the body is too large.",
            429: "A page: too many attempts; Retry-After says how many seconds to wait.",
            503: "A page: Redis or the audit journal is not available.",
        },
        _HTML,
    ),
}
"""The responses of an endpoint that people open in a browser."""


def json_result(
    description: str,
    *,
    status: int = 200,
    required: Sequence[str] = (),
    properties: Mapping[str, Any] | None = None,
    media_type: str = "application/json",
) -> Responses:
    """The description of a JSON object that an operation returns."""
    schema: dict[str, Any] = {"type": "object"}
    if required:
        schema["required"] = list(required)
    if properties:
        schema["properties"] = dict(properties)
    return {status: {"description": description, "content": {media_type: {"schema": schema}}}}
