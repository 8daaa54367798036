"""The responses to requests that no route answers, or whose handler fails: JSON, or a page of the service."""

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from security_common.edge import InvalidRequest, NotFound, Refusal
from security_common.edge.refusals import refusal_members

__all__ = ["ErrorPage", "HttpErrors", "MethodNotAllowed", "ServerError"]

ErrorPage: TypeAlias = Callable[[Request, Refusal], Response]
"""Renders an error as a page. The status is that of the error."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class MethodNotAllowed(Refusal):
    """The path exists and does not accept the method."""

    status: ClassVar[int] = 405
    error: ClassVar[str] = "method_not_allowed"


class ServerError(Refusal):
    """The handler failed with an unexpected exception, which is in the log."""

    status: ClassVar[int] = 500
    error: ClassVar[str] = "server_error"


class HttpErrors:
    """The exception handler of an application. `pages` render the errors of a path and everything below it."""

    def __init__(self) -> None:
        self.pages: dict[str, ErrorPage] = {}

    def respond(self, request: Request, failure: Exception) -> Response:
        """The response, with the headers of an HTTPException such as Allow."""
        sent = dict(failure.headers or {}) if isinstance(failure, HTTPException) else {}
        if "Allow" in sent:  # Starlette writes the methods in a random order
            sent["Allow"] = ", ".join(sorted(sent["Allow"].split(", ")))
        problem = _problem_of(failure, allowed=sent.get("Allow", ""))
        path: str = request.scope["path"]
        page = next((page for prefix, page in self.pages.items() if f"{path}/".startswith(f"{prefix}/")), None)
        response = (
            page(request, problem)
            if page is not None
            else JSONResponse(refusal_members(problem), status_code=problem.status)
        )
        response.headers.update(_HEADERS | sent)
        return response


def _problem_of(failure: Exception, *, allowed: str) -> Refusal:
    if not isinstance(failure, HTTPException) or failure.status_code >= 500:
        return ServerError("the server failed", hint="the cause is in the log of the server")
    if failure.status_code == 404:
        return NotFound("there is nothing at this path", hint="/openapi.json lists all paths")
    if failure.status_code == 405:
        return MethodNotAllowed("the method is not allowed here", hint=f"use {allowed}")
    return InvalidRequest(str(failure.detail))
