"""Routes for GET and HEAD."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

__all__ = ["READ", "add_read_route"]

READ = ("GET", "HEAD")


def add_read_route(
    router: APIRouter, path: str, endpoint: Callable[..., Any], *, in_schema: bool = True, **document: Any
) -> None:
    """Adds an endpoint for GET and HEAD. `document` describes the GET operation in the OpenAPI document.

    The first route answers every request. A documented route with both methods would be two operations with the same
    operation id, so the second one is only for the document.
    """
    router.add_api_route(path, endpoint, methods=list(READ), include_in_schema=False)
    if in_schema:
        router.add_api_route(path, endpoint, methods=["GET"], **document)
