"""The audit page: its router, and errors as pages."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib.resources import files
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import structlog
from fastapi import APIRouter
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mcp_resource_service.audit_page.auditors import AuditorAccess
from mcp_resource_service.audit_page.oauth_sign_in import OAuthSignIn
from mcp_resource_service.audit_page.rendering import Rendering
from mcp_resource_service.audit_page.sessions import Sessions, page_cookies
from mcp_resource_service.audit_page.sign_in_pages import SignInPages
from mcp_resource_service.audit_page.trail_pages import MEDIA_TYPES, TrailPages
from mcp_resource_service.audit_page.trail_query import QUERY_PARAMETERS, parse_query
from mcp_resource_service.store_errors import StoreUnavailable
from security_common.audit import Journal
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.edge import InvalidRequest, NotFound, Refusal
from security_common.errors import SecurityError
from security_common.pii import PIIDetector
from security_common.service.browser_pages import PAGE_STYLE
from security_common.service.read_routes import add_read_route

__all__ = ["ERROR_STATUSES", "AuditPage"]

# Status by error code. Any other error is 403.
ERROR_STATUSES = {
    "temporarily_unavailable": 503,
    "issuer_unreachable": 503,
    "issuer_mismatch": 503,
    "not_found": 404,
    "invalid_request": 400,
    "invalid_paging_token": 404,
    "too_many_sign_ins": 429,
}


def _parameter(name: str, description: str, *, location: str = "query") -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": location, "required": location == "path", "description": description, "schema": schema}


QUERY = [_parameter(name, description) for name, description in QUERY_PARAMETERS.items()]
CURSOR = _parameter("cursor", "Time and number of the event, as in the links of the list.", location="path")
CALLBACK_PARAMETERS = [
    _parameter("code", "Authorization code (RFC 6749 section 4.1.2)."),
    _parameter("state", "The state of the sign-in (RFC 6749 section 4.1.2)."),
    _parameter("iss", "The issuer (RFC 9207 section 2)."),
    _parameter("error", "Error code (RFC 6749 section 4.1.2.1)."),
]
DOWNLOAD_FORM = {
    "schema": {
        "type": "object",
        "required": ["format", "reason"],
        "properties": {
            "format": {"type": "string", "enum": list(MEDIA_TYPES)},
            "reason": {"type": "string", "description": "Reason for the download; it is recorded."},
        },
    }
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    "3XX": {"description": "A redirect: without a session, to the sign-in."},
    "4XX": {"description": "A page that explains the error and what to do."},
    "503": {"description": "A page: the audit trail or the authorization server does not answer."},
}

RETRY_AFTER_SECONDS = {429: "60", 503: "5"}

log = structlog.get_logger("mcp_resource_service")


class PageNotFound(SecurityError):
    """There is no page at this path below /audit."""

    error: ClassVar[str] = "page_not_found"


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AuditPage:
    """The pages under /audit; `clock` returns seconds since the epoch."""

    def __init__(
        self,
        *,
        oauth: OAuthSignIn,
        sessions: Sessions,
        trail: SearchableTrail,
        journal: Journal,
        detector: PIIDetector,
        origin: str,
        issuer: str,
        time_zone: ZoneInfo,
        clock: Callable[[], float],
    ) -> None:
        self._rendering = Rendering(issuer, time_zone)
        cookies = page_cookies(secure=origin.startswith("https:"))
        auditors = AuditorAccess(sessions, cookies, journal, oauth, origin=origin, clock=clock)
        self._sign_in_pages = SignInPages(auditors, oauth, self._rendering, clock=clock)
        self._trail_pages = TrailPages(
            auditors, self._rendering, trail, journal, detector, time_zone=time_zone, clock=clock
        )

    def router(self) -> APIRouter:
        """Returns the path operations."""
        own_style = files("mcp_resource_service.audit_page").joinpath("style.css").read_bytes()
        style = PAGE_STYLE.encode() + own_style

        async def show_style(_: Request) -> Response:
            return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

        trail, sign_in = self._trail_pages, self._sign_in_pages
        router = APIRouter(prefix="/audit", tags=["audit page"])
        self._add_page(router, "", trail.overview, "Show the audit trail: charts, filters and the newest events")
        self._add_page(router, "/", trail.overview, "", in_schema=False)
        self._add_page(router, "/events/{cursor}", trail.event, "Show one event", parameters=[CURSOR])
        self._add_page(router, "/review", trail.review, "Show the monthly review of access records (접속기록 점검)")
        self._add_page(router, "/sign-in", sign_in.sign_in, "Redirect to the authorization server")
        self._add_page(router, "/callback", sign_in.callback, "Complete the sign-in", parameters=CALLBACK_PARAMETERS)
        self._add_page(router, "/signed-out", sign_in.signed_out, "Confirm the sign-out")
        self._add_form(router, "/sign-out", sign_in.sign_out, "End the session")
        self._add_form(router, "/export", trail.download, "Download the events", body=DOWNLOAD_FORM)
        router.add_api_route("/style.css", show_style, methods=["GET", "HEAD"], include_in_schema=False)
        return router

    def _add_page(
        self,
        router: APIRouter,
        path: str,
        handler: Handler,
        summary: str,
        *,
        parameters: Sequence[Mapping[str, Any]] = (),
        in_schema: bool = True,
    ) -> None:
        endpoint = self._with_error_pages(handler)
        add_read_route(
            router,
            path,
            endpoint,
            in_schema=in_schema,
            operation_id=f"audit_{handler.__name__}",
            summary=summary,
            response_class=HTMLResponse,
            responses=RESPONSES,
            openapi_extra={"parameters": [*QUERY, *parameters]},
        )

    def _add_form(
        self, router: APIRouter, path: str, handler: Handler, summary: str, *, body: Mapping[str, Any] | None = None
    ) -> None:
        extra: dict[str, Any] = {"parameters": QUERY}
        if body:
            extra["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": body}}
        router.add_api_route(
            path,
            self._with_error_pages(handler),
            methods=["POST"],
            operation_id=f"audit_{handler.__name__}",
            summary=summary,
            response_class=HTMLResponse,
            responses=RESPONSES,
            openapi_extra=extra,
        )

    def error_page(self, request: Request, problem: Refusal) -> Response:
        """Renders an error of a request that no handler answers, in the language of the page if it has a text."""
        page_problem = PageNotFound(problem.description) if isinstance(problem, NotFound) else problem
        return self._rendering.problem(parse_query(request), page_problem, status=problem.status)

    def _with_error_pages(self, handler: Handler) -> Handler:
        """Returns the handler with a page for each error: what happened, and what to do."""

        async def handle(request: Request) -> Response:
            try:
                response = await handler(request)
            except (RedisError, OSError) as failure:
                log.warning("audit_page_unavailable", cause=type(failure).__name__)
                problem: SecurityError = StoreUnavailable(
                    "the audit trail does not answer", hint="try again in a moment"
                )
            except SecurityError as failure:
                cause = type(failure.__cause__).__name__ if failure.__cause__ else None
                log.info("audit_page_refused", error=failure.description, cause=cause)
                problem = failure
            except HTTPException as failure:  # the form parser of Starlette
                log.info("audit_page_refused", error=InvalidRequest.error, cause=type(failure).__name__)
                problem = InvalidRequest("the form cannot be read", hint="go back and send the form again")
            else:
                response.headers.update(self._rendering.headers)
                return response
            status = ERROR_STATUSES.get(problem.error, 403)
            page = self._rendering.problem(parse_query(request), problem, status=status)
            if status in RETRY_AFTER_SECONDS:
                page.headers["Retry-After"] = RETRY_AFTER_SECONDS[status]
            return page

        return handle
