"""How the pages stand in the OpenAPI document."""

from collections.abc import Iterable, Mapping
from typing import Any

from auth_service.http.openapi import form_body

__all__ = ["PAGE", "page_operations"]

_TEXT = {"type": "string"}
PAGE: Mapping[str, Any] = {"text/html": {"schema": _TEXT}}


def page_operations(name: str, summary: str, fields: Iterable[str]) -> dict[str, dict[str, Any]]:
    """GET shows the page of a waiting request, POST is its form."""
    responses = {
        "200": {"description": "The page", "content": PAGE},
        "303": {"description": "To the next page, or back to the client"},
        "400": {"description": "A page: the request is finished, or what was sent is wrong", "content": PAGE},
        "403": {"description": "A page: the request or the form is another browser's", "content": PAGE},
        "429": {"description": "A page: too many attempts; Retry-After says how long to wait", "content": PAGE},
        "503": {"description": "A page: a part of the server is away", "content": PAGE},
    }
    common = {"summary": summary, "tags": ["pages"], "responses": responses}
    request = {"name": "request", "in": "query", "required": True, "schema": _TEXT}
    body = form_body(dict.fromkeys(("request", "form_key", *fields), _TEXT), ["request", "form_key"])
    return {
        "get": {**common, "operationId": name, "parameters": [request]},
        "post": {**common, "operationId": f"{name}-post", "requestBody": body},
    }
