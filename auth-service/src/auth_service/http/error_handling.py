"""Failures of requests, except unknown paths, become an `OAuthError`, and one handler renders it: as JSON or a page."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import structlog
from redis.exceptions import OutOfMemoryError, RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auth_service.errors import (
    EndpointNotFound,
    InvalidRequest,
    MethodNotAllowed,
    OAuthError,
    RequestHeadersTooLarge,
    RequestTooLarge,
    ServerError,
    TemporarilyUnavailable,
)
from auth_service.http.dependencies import context_of
from auth_service.http.responses import error_response, json_response
from security_common.audit import JournalUnavailable
from security_common.edge import BodyTooLarge, BodyTooSlow, HeadersTooLarge, NotFound, Refusal, Scope

__all__ = ["HANDLER_TIMEOUT_SECONDS", "ErrorHandler", "RenderError", "run_handler"]

HANDLER_TIMEOUT_SECONDS = 30.0
_RETRY_SECONDS = 2

log = structlog.get_logger(__name__)

# Renders an error for the request that caused it.
RenderError = Callable[[OAuthError, Request], Response]


async def run_handler(handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """The response of a handler, which has 30 seconds.

    Failures other than `OAuthError` and `HTTPException` are logged and raised as `TemporarilyUnavailable` or
    `ServerError`.
    """
    try:
        async with asyncio.timeout(HANDLER_TIMEOUT_SECONDS):
            return await handler(request)
    except (OAuthError, HTTPException):
        raise
    except (RedisError, JournalUnavailable, TimeoutError) as failure:
        log.warning(
            "dependency_unavailable",
            path=request.scope["path"],
            cause=type(failure).__name__,
            trace_id=context_of(request).trace_id,
        )
        raise TemporarilyUnavailable(_describe(failure), retry_after_seconds=_RETRY_SECONDS) from failure
    except Exception as failure:
        log.exception("request_failed", path=request.scope["path"], trace_id=context_of(request).trace_id)
        raise ServerError("the server failed; the cause is in its log") from failure


class ErrorHandler:
    """The exception handler of the application.

    `render_page` renders the errors of `page_paths`, which people open in a browser; other errors are JSON.
    `render_by_prefix` has the renderers of other paths, by the beginning of the path. `allowed_methods` are those of
    each path. `not_found` is the JSON object for unknown paths.
    """

    def __init__(
        self,
        *,
        issuer: str,
        render_page: RenderError,
        page_paths: Collection[str],
        render_by_prefix: Mapping[str, RenderError],
        allowed_methods: Mapping[str, str],
        not_found: Mapping[str, Any],
    ) -> None:
        self._issuer = issuer
        self._render_page = render_page
        self._page_paths = frozenset(page_paths)
        # A path with a parameter, such as /oauth2/callback/{provider}: what is before the parameter.
        self._page_prefixes = tuple(path.partition("{")[0] for path in page_paths if "{" in path)
        self._render_by_prefix = render_by_prefix
        self._allowed_methods = allowed_methods
        self._not_found = not_found

    async def __call__(self, request: Request, error: Exception) -> Response:
        """The response to a request whose handler raised an exception, or that no route matches."""
        if isinstance(error, HTTPException) and error.status_code == 404:
            return self._render_not_found(request)
        if isinstance(error, HTTPException):  # routing raises 404 and 405 only; handlers raise `OAuthError`
            allowed = self._allowed_methods.get(request.scope["path"]) or (error.headers or {}).get("Allow", "GET")
            response = self._render(MethodNotAllowed(f"the method is not allowed here; use {allowed}"), request)
            response.headers["allow"] = allowed
            return response
        if not isinstance(error, OAuthError):
            raise error
        log.info(
            "error_response",
            path=request.scope["path"],
            error=error.error,
            reason=error.description,
            trace_id=context_of(request).trace_id,
        )
        return self._render(error, request)

    def render_refusal(self, refusal: Refusal, scope: Scope) -> Response:
        """The response to a request that the edge refuses before it reaches a route."""
        if isinstance(refusal, NotFound):
            return self._render_not_found(Request(scope))
        return self._render(_oauth_error_of(refusal), Request(scope))

    def _is_page(self, path: str) -> bool:
        return path in self._page_paths or path.startswith(self._page_prefixes)

    def _render_not_found(self, request: Request) -> Response:
        render = self._renderer_of(request.scope["path"])
        if render is None:
            return json_response(self._not_found, status=404)
        return render(EndpointNotFound("there is nothing at this path"), request)

    def _render(self, error: OAuthError, request: Request) -> Response:
        path = request.scope["path"]
        render = self._render_page if self._is_page(path) else self._renderer_of(path)
        return render(error, request) if render is not None else error_response(error, issuer=self._issuer)

    def _renderer_of(self, path: str) -> RenderError | None:
        return next((render for prefix, render in self._render_by_prefix.items() if path.startswith(prefix)), None)


def _oauth_error_of(refusal: Refusal) -> OAuthError:
    match refusal:
        case BodyTooLarge():
            return RequestTooLarge(refusal.description)
        case HeadersTooLarge():
            return RequestHeadersTooLarge(refusal.description)
        case BodyTooSlow():
            return InvalidRequest("the body took too long to arrive")
        case _:
            return InvalidRequest(refusal.description)


def _describe(failure: Exception) -> str:
    """The sentence for the client about a failure of this server. It names no cause other than a full store."""
    if isinstance(failure, OutOfMemoryError):
        return "the server's store is full and cannot be written at the moment; try again later"
    return "the server cannot answer at the moment; try again"
