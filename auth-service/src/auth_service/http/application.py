"""The FastAPI application: routers, the OpenAPI document, the exception handler and the middleware."""

import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from auth_service.errors import OAuthError
from auth_service.http.error_handling import ErrorHandler, RenderError, run_handler
from auth_service.http.metrics import Metrics, RequestMetrics
from auth_service.http.middleware import HttpConventions, PlainRoutes
from auth_service.http.openapi import COMPONENTS, json_result
from auth_service.protocol import RandomBytes
from security_common.edge import Edge, EdgeLimits

__all__ = ["OPENAPI_PATH", "Endpoints", "PlainEndpoint", "assemble", "new_router", "paths_of", "service_version"]

OPENAPI_PATH = "/openapi.json"
BODY_TIMEOUT_SECONDS = 10.0


class _LimitedRoute(APIRoute):
    """A FastAPI route whose handler runs in `run_handler`, with its time limit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def run(request: Request) -> Response:
            return await run_handler(handler, request)

        return run


def new_router(tag: str) -> APIRouter:
    """A router for endpoints that return a `Response` and raise `OAuthError`. `tag` groups them in the document."""
    return APIRouter(tags=[tag], default_response_class=Response, route_class=_LimitedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainEndpoint:
    """A POST endpoint without FastAPI's routing. `operation` describes it in the OpenAPI document."""

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    operation: Mapping[str, Any]

    def as_application(self, handle_error: ErrorHandler) -> ASGIApp:
        """The endpoint as an ASGI application."""

        async def respond(request: Request) -> Response:
            try:
                return await run_handler(self.handler, request)
            except OAuthError as error:
                return await handle_error(request, error)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            if scope["method"] == "POST":
                response = await respond(request)
            else:
                response = await handle_error(request, HTTPException(405))
            await response(scope, receive, send)

        return application


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What the application serves.

    Errors of `pages` are rendered by `render_page`, all others as JSON. Scripts of any origin may use the paths in
    `cross_origin`. `not_found` is the JSON object for unknown paths. `body_bytes_by_path` has smaller body limits.
    """

    pages: Sequence[APIRouter]
    routers: Sequence[APIRouter]
    plain: Sequence[PlainEndpoint]
    render_page: RenderError
    cross_origin: Collection[str]
    not_found: Mapping[str, Any]
    body_bytes_by_path: Mapping[str, int]


def assemble(
    app: FastAPI,
    endpoints: Endpoints,
    *,
    issuer: str,
    metrics: Metrics,
    random_bytes: RandomBytes,
    trusted_proxies: Sequence[Any],
) -> None:
    """Adds endpoints, document, exception handler and middleware to the application."""
    for router in (*endpoints.pages, *endpoints.routers):
        app.include_router(router)
    _add_document(app, endpoints.plain)
    methods = _methods_by_path(app, endpoints.plain)
    allowed_methods = {path: ", ".join(listed) for path, listed in methods.items()}
    handle_error = ErrorHandler(
        issuer=issuer,
        render_page=endpoints.render_page,
        page_paths=paths_of(endpoints.pages),
        allowed_methods=allowed_methods,
        not_found=endpoints.not_found,
    )
    for kind in (OAuthError, HTTPException):
        app.add_exception_handler(kind, handle_error)
    # The middleware that is added last sees a request first.
    app.add_middleware(
        PlainRoutes, applications={plain.path: plain.as_application(handle_error) for plain in endpoints.plain}
    )
    app.add_middleware(
        HttpConventions,
        cross_origin={path: allowed_methods[path] for path in endpoints.cross_origin if path in methods},
    )
    app.add_middleware(RequestMetrics, durations=metrics.requests, paths=frozenset(methods))
    app.add_middleware(
        Edge,
        trusted_proxies=trusted_proxies,
        limits=EdgeLimits(body_bytes_by_path=endpoints.body_bytes_by_path, body_deadline_seconds=BODY_TIMEOUT_SECONDS),
        render_refusal=handle_error.render_refusal,
        randomness=random_bytes,
    )


def _methods_by_path(app: FastAPI, plain: Sequence[PlainEndpoint]) -> dict[str, list[str]]:
    """The methods that each path accepts. HEAD is accepted with GET, see `HttpConventions`."""
    methods: dict[str, list[str]] = {endpoint.path: ["POST"] for endpoint in plain}
    for context in iter_route_contexts(app.routes):
        if context.path and context.methods:
            methods.setdefault(context.path, []).extend(sorted(context.methods))
    return {path: [*listed, "HEAD"] if "GET" in listed else listed for path, listed in methods.items()}


def _add_document(app: FastAPI, plain: Sequence[PlainEndpoint]) -> None:
    """/openapi.json: what FastAPI generates from the routes, with the plain endpoints and the shared components."""

    def generate() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes, servers=app.servers
            )
            document["components"] = {**COMPONENTS}
            document["paths"] |= {endpoint.path: {"post": endpoint.operation} for endpoint in plain}
            app.openapi_schema = document
        return app.openapi_schema

    router = new_router("discovery")

    @router.get(OPENAPI_PATH, operation_id="openapi", summary="This document", responses=json_result("OpenAPI 3.1"))
    async def respond() -> Response:
        body = json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":"))
        return Response(body, media_type="application/json", headers={"cache-control": "public, max-age=300"})

    app.include_router(router)
    app.openapi = generate


def paths_of(routers: Sequence[APIRouter]) -> frozenset[str]:
    """The paths of all routes."""
    return frozenset(
        context.path for router in routers for context in iter_route_contexts(router.routes) if context.path
    )


def service_version() -> str:
    """The version of the installed distribution."""
    return version("mcp-oauth2-auth-service")
