"""The FastAPI application that every service starts from, and routes that all services have.

    app = WebApplication(title=..., version=..., server_url=..., lifespan=..., serves_docs=...)
    app.include_router(health_router(readiness))
    app.include_router(icon_router())

`/openapi.json` describes every path operation, and every plain ASGI route that was added with `add_asgi_route`.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route

from security_common.edge import Application, Receive, Scope, Send
from security_common.service.api_docs import api_docs_router
from security_common.service.http_errors import ErrorPage, HttpErrors
from security_common.service.read_routes import READ, add_read_route

__all__ = ["ICON", "ICON_MEDIA_TYPE", "ICON_PATH", "OPENAPI_PATH", "READ", "WebApplication", "icon_router"]

OPENAPI_PATH = "/openapi.json"
ICON_PATH = "/favicon.ico"
ICON_MEDIA_TYPE = "image/svg+xml"
ICON = files("security_common").joinpath("icon.svg").read_bytes()
"""The icon of the services. Browsers decide by the media type, not by the extension of the path."""

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


class WebApplication(FastAPI):
    """A FastAPI application with this project's defaults.

    A path with an additional slash is not redirected: the redirect would be built from the Host header, and without the
    TLS of a proxy. FastAPI's own documentation pages load files from other hosts, so `serves_docs` adds pages that do
    not. `server_url` is the public address of the service, without a trailing slash. `security_schemes` are those of
    the OpenAPI document, by name.
    """

    def __init__(
        self,
        *,
        title: str,
        version: str,
        server_url: str,
        lifespan: Lifespan | None = None,
        serves_docs: bool = False,
        description: str = "",
        security_schemes: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            title=title,
            version=version,
            description=description,
            servers=[{"url": server_url}],
            lifespan=lifespan,
            redirect_slashes=False,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            # Otherwise FastAPI looks for OpenTelemetry providers at each request.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self._security_schemes = dict(security_schemes or {})
        self._asgi_routes: dict[str, Application] = {}
        self._changing_routes: list[tuple[Callable[[str], bool], Application]] = []
        self._operations: dict[str, dict[str, Any]] = {}
        self._document: bytes | None = None
        self._errors = HttpErrors()
        self.add_exception_handler(HTTPException, self._errors.respond)
        self.add_exception_handler(Exception, self._errors.respond)
        self.router.routes.append(Route(OPENAPI_PATH, self._show_openapi, methods=["GET"], include_in_schema=False))
        if serves_docs:
            self.include_router(api_docs_router(title=title, openapi_path=OPENAPI_PATH))

    def add_error_page(self, prefix: str, page: ErrorPage) -> None:
        """Makes `page` render the errors of this path and of all paths below it, in place of JSON."""
        self._errors.pages[prefix] = page

    def describe_path(self, path: str, operations: Mapping[str, Mapping[str, Any]]) -> None:
        """Adds a path to the OpenAPI document: an Operation Object by HTTP method in lower case."""
        self._operations[path] = {method: dict(operation) for method, operation in operations.items()}

    def add_asgi_route(
        self,
        path: str,
        app: Application,
        *,
        methods: Collection[str] | None = None,
        operations: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Routes an exact path to an ASGI application, for the few paths where FastAPI's own work is too slow.

        A path operation costs 45 µs of CPU time more, and a route of the router 5 µs. The middleware of the application
        and its exception handlers apply as for path operations.

        `operations` describes it in the OpenAPI document: an Operation Object by HTTP method in lower case. The
        application receives every method when `methods` is None; GET includes HEAD.
        """
        self._asgi_routes[path] = app if methods is None else _MethodFilter(app, methods)
        if operations is not None:
            self.describe_path(path, operations)

    def add_changing_asgi_routes(
        self, serves: Callable[[str], bool], app: Application, *, methods: Collection[str]
    ) -> None:
        """Routes every path for which `serves` is true to an ASGI application, while the service may change them."""
        self._changing_routes.append((serves, _MethodFilter(app, methods)))

    def build_middleware_stack(self) -> Application:
        """Adds the plain ASGI routes behind all other middleware, in front of the router."""
        handlers = {key: handler for key, handler in self.exception_handlers.items() if key not in (500, Exception)}
        apps = {path: ExceptionMiddleware(app, handlers=handlers) for path, app in self._asgi_routes.items()}
        changing = [(serves, ExceptionMiddleware(app, handlers=handlers)) for serves, app in self._changing_routes]
        self.user_middleware.append(Middleware(_AsgiRoutes, apps=apps, changing=changing))
        return super().build_middleware_stack()

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the plain ASGI routes."""
        document = super().openapi()
        for path, operations in self._operations.items():
            document.setdefault("paths", {}).setdefault(path, {}).update(operations)
        if self._security_schemes:
            document.setdefault("components", {})["securitySchemes"] = self._security_schemes
        return document

    async def _show_openapi(self, _: Request) -> Response:
        if self._document is None:  # made at the first request, so that it does not delay the start
            self._document = json.dumps(self.openapi(), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return Response(self._document, media_type="application/json", headers=headers)


class _AsgiRoutes:
    """ASGI middleware that calls the application of a path, and the next application for every other path."""

    def __init__(
        self,
        app: Application,
        *,
        apps: Mapping[str, Application],
        changing: Sequence[tuple[Callable[[str], bool], Application]],
    ) -> None:
        self._app = app
        self._apps = apps
        self._changing = changing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application_of(scope)(scope, receive, send)

    def _application_of(self, scope: Scope) -> Application:
        if scope["type"] != "http":
            return self._app
        path = scope["path"]
        app = self._apps.get(path)
        if app is None:
            app = next((each for serves, each in self._changing if serves(path)), self._app)
        return app


class _MethodFilter:
    """An ASGI application that answers other methods with 405."""

    def __init__(self, app: Application, methods: Collection[str]) -> None:
        self._app = app
        self._methods = {*methods, "HEAD"} if "GET" in methods else set(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self._methods:
            raise HTTPException(status_code=405, headers={"Allow": ", ".join(sorted(self._methods))})
        await self._app(scope, receive, send)


def icon_router() -> APIRouter:
    """`/favicon.ico`, the icon of the services."""
    router = APIRouter()
    icon = Response(ICON, media_type=ICON_MEDIA_TYPE, headers={"Cache-Control": "public, max-age=86400"})

    async def show_icon() -> Response:
        return icon

    add_read_route(router, ICON_PATH, show_icon, in_schema=False)
    return router
