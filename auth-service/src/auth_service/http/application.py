"""The FastAPI application: routers, the OpenAPI document, the exception handler and the middleware."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from auth_service.errors import OAuthError
from auth_service.http.conventions import HttpConventions
from auth_service.http.error_handling import ErrorHandler, RenderError, run_handler
from auth_service.http.openapi import COMPONENTS, PAGE_RESPONSES, json_result
from auth_service.http.parameters import ParameterTable
from auth_service.protocol import RandomBytes
from security_common.edge import Edge, EdgeLimits
from security_common.edge.client_address import Network
from security_common.service.browser_pages import BrowserPages, StartPage
from security_common.service.readiness import Readiness
from security_common.service.request_metrics import MeasuredRequests, RequestMetrics
from security_common.service.web_application import OPENAPI_PATH, WebApplication

__all__ = ["AuthApplication", "Endpoints", "PlainEndpoint", "new_page_router", "new_router", "paths_of"]

BODY_TIMEOUT_SECONDS = 10.0

# The order of the methods in the Allow header.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")

PageHandler = Callable[..., Awaitable[Response]]


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


def new_page_router(
    path: str,
    *,
    operation_id: str,
    show: PageHandler,
    show_summary: str,
    query: ParameterTable,
    submit: PageHandler,
    submit_summary: str,
    form: ParameterTable,
) -> APIRouter:
    """A router for one page: GET shows it with the parameters of `query`, POST submits its form."""
    router = new_router("pages")
    router.add_api_route(
        path,
        show,
        operation_id=operation_id,
        summary=show_summary,
        responses=PAGE_RESPONSES,
        openapi_extra=query.as_query(),
    )
    router.add_api_route(
        path,
        submit,
        methods=["POST"],
        operation_id=f"{operation_id}-post",
        summary=submit_summary,
        responses=PAGE_RESPONSES,
        openapi_extra=form.as_form(),
    )
    return router


def paths_of(routers: Sequence[APIRouter]) -> frozenset[str]:
    """The paths of all routes."""
    contexts = (context for router in routers for context in iter_route_contexts(router.routes))
    return frozenset(context.path for context in contexts if context.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainEndpoint:
    """A POST endpoint without FastAPI's routing, which costs a tenth of the CPU time of issuing a token.

    `operation` describes it in the OpenAPI document.
    """

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    operation: Mapping[str, Any]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await run_handler(self.handler, Request(scope, receive))
        await response(scope, receive, send)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What the application serves.

    Errors of `pages` are rendered by `render_page`, those of paths that begin with a key of `render_by_prefix` by its
    value, all others as JSON. Scripts of any origin may use the paths in
    `cross_origin`. `not_found` is the JSON object for unknown paths. `body_bytes_by_path` are other limits than 64 KiB.
    `start_page` is what browsers get at `/`, with the state that `readiness` reports.
    """

    pages: Sequence[APIRouter]
    routers: Sequence[APIRouter]
    plain: Sequence[PlainEndpoint]
    render_page: RenderError
    render_by_prefix: Mapping[str, RenderError]
    cross_origin: Collection[str]
    not_found: Mapping[str, Any]
    body_bytes_by_path: Mapping[str, int]
    start_page: StartPage
    readiness: Readiness


class AuthApplication(WebApplication):
    """The application with all endpoints, the exception handler and the middleware."""

    def add_endpoints(
        self,
        endpoints: Endpoints,
        *,
        issuer: str,
        registry: CollectorRegistry,
        random_bytes: RandomBytes,
        trusted_proxies: Sequence[Network],
    ) -> None:
        """Adds the endpoints. `registry` gets the metrics of requests."""
        for router in (*endpoints.pages, *endpoints.routers):
            self.include_router(router)
        for endpoint in endpoints.plain:
            self.add_asgi_route(endpoint.path, endpoint, methods=["POST"], operations={"post": endpoint.operation})
        methods = self._methods_by_path(endpoints.plain)
        handle_error = ErrorHandler(
            issuer=issuer,
            render_page=endpoints.render_page,
            page_paths=paths_of(endpoints.pages),
            render_by_prefix=endpoints.render_by_prefix,
            allowed_methods=methods,
            not_found=endpoints.not_found,
        )
        for kind in (OAuthError, HTTPException):
            self.add_exception_handler(kind, handle_error)
        # The middleware that is added last sees a request first.
        self.add_middleware(
            Edge,
            trusted_proxies=trusted_proxies,
            limits=EdgeLimits(
                body_bytes_by_path=endpoints.body_bytes_by_path, body_deadline_seconds=BODY_TIMEOUT_SECONDS
            ),
            render_refusal=handle_error.render_refusal,
            random_bytes=random_bytes,
        )
        self.add_middleware(BrowserPages, start_page=endpoints.start_page, readiness=endpoints.readiness, origin=issuer)
        # Outside the edge, so that its refusals have the common headers too.
        self.add_middleware(
            HttpConventions, cross_origin={path: methods[path] for path in endpoints.cross_origin if path in methods}
        )
        self.add_middleware(MeasuredRequests, metrics=RequestMetrics(registry, prefix="auth", paths=methods.keys()))

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the shared components and itself."""
        document = super().openapi()
        document["components"] = {**COMPONENTS}
        document["paths"][OPENAPI_PATH] = {
            "get": {
                "operationId": "openapi",
                "summary": "This document",
                "tags": ["discovery"],
                "responses": {str(status): response for status, response in json_result("OpenAPI 3.1").items()},
            }
        }
        return document

    def _methods_by_path(self, plain: Sequence[PlainEndpoint]) -> dict[str, str]:
        """The value of the Allow header of each path. HEAD is accepted with GET, see `HttpConventions`."""
        methods: dict[str, set[str]] = {endpoint.path: {"POST"} for endpoint in plain}
        for context in iter_route_contexts(self.routes):
            if context.path and context.methods:
                methods.setdefault(context.path, set()).update(context.methods)
        for accepted in methods.values():
            if "GET" in accepted:
                accepted.add("HEAD")
        return {
            path: ", ".join(method for method in _METHODS if method in accepted) for path, accepted in methods.items()
        }
