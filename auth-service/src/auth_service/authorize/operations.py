"""How the pages stand in the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

from auth_service.http.openapi import form_body

__all__ = ["page_operations"]

_TEXT = {"type": "string"}
_PAGE = {"text/html": {"schema": _TEXT}}
_RESPONSES = {
    "200": {"description": "The page", "content": _PAGE},
    "303": {"description": "To the next page, or back to the client"},
    "400": {"description": "A page: what was sent is wrong, or its time is over", "content": _PAGE},
    "403": {"description": "A page: the request or the form is another browser's", "content": _PAGE},
    "429": {"description": "A page: too many attempts; Retry-After says how long to wait", "content": _PAGE},
    "503": {"description": "A page: a part of the server is away", "content": _PAGE},
}


def page_operations(
    name: str, summary: str, required: Sequence[str], optional: Sequence[str] = (), form: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """GET with these parameters in the query, POST with them and those of the form in the body."""
    common = {"summary": summary, "tags": ["pages"], "responses": _RESPONSES}
    query = [
        {"name": each, "in": "query", "required": each in required, "schema": _TEXT} for each in (*required, *optional)
    ]
    body = form_body(dict.fromkeys((*required, *optional, *form), _TEXT), required)
    return {
        "get": {**common, "operationId": name, "parameters": query},
        "post": {**common, "operationId": f"{name}-post", "requestBody": body},
    }
