"""The routes of the audit page: sign in, look, look closer, take away, sign out."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from zoneinfo import ZoneInfo

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from mcp_resource_service.audit_page.charts import draw
from mcp_resource_service.audit_page.event_counts import count_figures
from mcp_resource_service.audit_page.oauth_sign_in import (
    CLIENT_ID,
    Auditor,
    NoAuditor,
    SignIn,
    SignInFailed,
    TooManySignIns,
)
from mcp_resource_service.audit_page.rendering import Rendering
from mcp_resource_service.audit_page.sessions import Session, Sessions, read_cookies
from mcp_resource_service.audit_page.trail_export import MEDIA_TYPES, write_lines
from mcp_resource_service.audit_page.trail_query import PERIODS, Language, parse_view
from mcp_resource_service.store_errors import NotFound, StoreUnavailable
from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome, RecordedEvent
from security_common.audit.reading import each_event, find_event, read_events, read_trail_state
from security_common.edge.client_address import network_of
from security_common.errors import SecurityError
from security_common.guard import RequestRates
from security_common.pii import PIIDetector

__all__ = ["AuditPage"]

SIGN_IN_SECONDS = 600
SIGN_OUT_SECONDS = 30
STATE_BYTES = 24
SIGN_INS_PER_MINUTE = 120
PAGE_EVENTS = 50
CHARTED_EVENTS = 20_000
AWAY = dict.fromkeys(("temporarily_unavailable", "issuer_unreachable", "issuer_mismatch"), 503)
STATUS_OF: dict[str, int] = {**AWAY, "not_found": 404, "invalid_paging_token": 404, "too_many_sign_ins": 429}

log = structlog.get_logger("mcp_resource_service")

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(kw_only=True)
class AuditPage:
    """The page and everything below /audit; `clock` gives seconds since the epoch."""

    sign_in: SignIn
    sessions: Sessions
    redis: Redis
    journal: Journal
    detector: PIIDetector
    origin: str
    issuer: str
    time_zone: ZoneInfo
    clock: Callable[[], float]

    @cached_property
    def rendering(self) -> Rendering:
        """The pages as HTML."""
        return Rendering(self.issuer, self.time_zone)

    def routes(self) -> list[Route]:
        """Its Starlette routes."""
        style = files("mcp_resource_service.audit_page").joinpath("style.css").read_bytes()

        async def show_style(_: Request) -> Response:
            return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

        return [
            Route("/audit", self._answering(self._show_overview)),
            Route("/audit/", self._answering(self._show_overview)),
            Route("/audit/sign-in", self._answering(self._begin_sign_in)),
            Route("/audit/callback", self._answering(self._finish_sign_in)),
            Route("/audit/sign-out", self._answering(self._sign_out), methods=["POST"]),
            Route("/audit/signed-out", self._answering(self._show_signed_out)),
            Route("/audit/events/{cursor}", self._answering(self._show_event)),
            Route("/audit/export", self._answering(self._export), methods=["POST"]),
            Route("/audit/style.css", show_style),
        ]

    @cached_property
    def begun(self) -> RequestRates:
        """Sign-ins by address: anybody may begin one."""
        return RequestRates(SIGN_INS_PER_MINUTE, clock=self.clock)

    async def _begin_sign_in(self, request: Request) -> Response:
        if self.begun.take("", network_of(request.client.host if request.client else "")) is not None:
            raise TooManySignIns("too many sign-ins were begun from here", hint="try again in a minute")
        view, as_another = parse_view(request), request.query_params.get("prompt") == "login"
        state = secrets.token_urlsafe(STATE_BYTES)
        redirect, kept = await self.sign_in.begin(request, state=state, language=view.language, as_another=as_another)
        pending = {"state": dict(kept), "language": view.language, "query": view.link()}
        session = await self.sessions.begin(pending, lifetime_seconds=SIGN_IN_SECONDS)
        self._give_cookie(redirect, self.sessions.sign_in_cookie(state), session, max_age_seconds=SIGN_IN_SECONDS)
        for name in self.sessions.surplus_sign_ins(read_cookies(request)):
            self._remove_cookie(redirect, name)
        return redirect

    async def _finish_sign_in(self, request: Request) -> Response:
        cookie = self.sessions.sign_in_cookie(request.query_params.get("state", ""))
        pending = await self.sessions.load(read_cookies(request).get(cookie))
        if pending is None or "state" not in pending.data:
            if await self._auditor(request) is not None:
                # The address was opened again after the sign-in: a reload, or the back button.
                return RedirectResponse(f"/audit{parse_view(request).link()}", status_code=303)
            raise SignInFailed("this sign-in has expired or was not begun here", hint="sign in again")
        await self.sessions.end(pending.name)
        request.state.language = pending.data["language"]
        try:
            auditor = await self.sign_in.finish(request, pending.data["state"])
        except NoAuditor as refusal:
            await self._record(request, refusal.who, Action.REFUSED, reason=refusal.error)
            raise
        lifetime_seconds = int(auditor.expires_at_seconds - self.clock())
        session = await self.sessions.begin({"auditor": asdict(auditor)}, lifetime_seconds=lifetime_seconds)
        await self._record(request, auditor, Action.SIGNED_IN)
        redirect = RedirectResponse(f"/audit{pending.data['query']}", status_code=303)
        self._give_cookie(redirect, self.sessions.cookie_name, session)
        self._remove_cookie(redirect, cookie)
        return redirect

    async def _sign_out(self, request: Request) -> Response:
        """Ends the session here, and sends the browser on to end the issuer's: else the next person is signed in.

        A second click within SIGN_OUT_SECONDS is sent on as the first one was: a browser shows only the last answer.
        """
        self._check_origin(request)
        view, name = parse_view(request), read_cookies(request).get(self.sessions.cookie_name)
        session = await self.sessions.load(name)
        if session is None:
            return await self._show_signed_out(request)
        auditor = self._auditor_of(session)
        if auditor is not None:
            signed_out = {"signed_out_to": await self._logout_url(auditor, view.language)}
            before = await self.sessions.replace(session.name, signed_out, lifetime_seconds=SIGN_OUT_SECONDS)
            session.data = signed_out if before is None or "auditor" in before else before
            if before is not None and "auditor" in before:
                await self._record(request, auditor, Action.SIGNED_OUT)
        if "signed_out_to" not in session.data:
            return await self._show_signed_out(request)
        if not session.data["signed_out_to"]:
            return self.rendering.message(view, "signed_out_here", status=200)
        return RedirectResponse(session.data["signed_out_to"], status_code=303)

    async def _logout_url(self, auditor: Auditor, language: Language) -> str:
        try:
            return await self.sign_in.logout_url(auditor, language=language)
        except SecurityError as failure:
            log.warning("signed_out_here_only", problem=failure.description)
            return ""

    async def _show_signed_out(self, request: Request) -> Response:
        return self.rendering.message(parse_view(request), "signed_out", status=200)

    async def _show_overview(self, request: Request) -> Response:
        auditor = await self._auditor(request)
        view, now = parse_view(request), self._now()
        if auditor is None:
            return RedirectResponse(f"/audit/sign-in{view.link()}", status_code=303)
        criteria = view.criteria(now)
        charted = await read_events(self.redis, criteria, limit=CHARTED_EVENTS)
        listed = await read_events(self.redis, criteria, limit=PAGE_EVENTS, after=view.after or None)
        await self._record(request, auditor, Action.LISTED, task="view")
        since = now - PERIODS[view.period]
        figures = count_figures(charted.events, since=since, until=now)
        return self.rendering.overview(
            view,
            charts=[draw(key, series, since=since, until=now, zone=self.time_zone) for key, series in figures.items()],
            truncated=charted.next_token is not None,
            page=listed,
            state=await read_trail_state(self.redis),
            writable=self.journal.writable,
        )

    async def _show_event(self, request: Request) -> Response:
        auditor = await self._auditor(request)
        view = parse_view(request)
        if auditor is None:
            return RedirectResponse(f"/audit/sign-in{view.link()}", status_code=303)
        event = await self._find(request.path_params["cursor"])
        await self._record(request, auditor, Action.VIEWED_EVENT, task="view")
        return self.rendering.event(view, event)

    async def _export(self, request: Request) -> Response:
        """A download needs a reason, and the reason is on record (안전성 확보조치 기준 제8조)."""
        self._check_origin(request)
        auditor = await self._auditor(request)
        if auditor is None:
            raise SignInFailed("the session has ended", hint="sign in again")
        async with request.form(max_files=0, max_fields=4) as form:
            reason, form_name = str(form.get("reason", "")).strip(), str(form.get("format", ""))
        view, now = parse_view(request), self._now()
        if not reason or form_name not in MEDIA_TYPES:
            return self.rendering.message(view, "reason_missing", status=400)
        await self._record(
            request, auditor, Action(f"exported_{form_name}"), task="download", reason=self.detector.mask_text(reason)
        )
        return StreamingResponse(
            write_lines(form_name, each_event(self.redis, view.criteria(now))),
            media_type=MEDIA_TYPES[form_name],
            headers={"Content-Disposition": f'attachment; filename="audit-{now:%Y%m%dT%H%M%SZ}.{form_name}"'},
        )

    async def _find(self, cursor: str) -> RecordedEvent:
        if (event := await find_event(self.redis, cursor)) is None:
            raise NotFound("there is no such event", hint="the trail may have moved on; go back to the list")
        return event

    async def _auditor(self, request: Request) -> Auditor | None:
        return self._auditor_of(await self.sessions.load(read_cookies(request).get(self.sessions.cookie_name)))

    def _auditor_of(self, session: Session | None) -> Auditor | None:
        if session is None or "auditor" not in session.data:
            return None
        auditor = Auditor(**session.data["auditor"])
        return auditor if auditor.expires_at_seconds > self.clock() else None

    def _check_origin(self, request: Request) -> None:
        """A form of another site must not act for the auditor; browsers name the origin on every POST."""
        if request.headers.get("origin") != self.origin:
            raise SignInFailed("the form came from another site", hint="open the audit page and try again")

    async def _record(
        self, request: Request, auditor: Auditor, action: Action, *, task: str | None = None, reason: str | None = None
    ) -> None:
        await self.journal.record(
            AuditEvent(
                event_type=EventType.AUDIT_PAGE,
                action_taken=action,
                outcome=Outcome.REFUSED if action is Action.REFUSED else Outcome.SUCCESS,
                user_id=auditor.subject,
                issuer=auditor.issuer,
                client_id=CLIENT_ID,
                source_address=request.client.host if request.client else None,
                task=task,
                reason=reason,
            )
        )

    def _give_cookie(
        self, response: Response, name: str, session: Session, *, max_age_seconds: int | None = None
    ) -> None:
        secure = self.sessions.secure
        response.set_cookie(name, session.name, max_age_seconds, httponly=True, secure=secure, samesite="lax")

    def _remove_cookie(self, response: Response, name: str) -> None:
        response.delete_cookie(name, httponly=True, secure=self.sessions.secure, samesite="lax")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def _answering(self, handler: Handler) -> Handler:
        """Errors become pages: what happened, and what to do."""

        async def answer(request: Request) -> Response:
            try:
                response = await handler(request)
            except (RedisError, OSError) as failure:
                problem: SecurityError = StoreUnavailable("the trail does not answer", hint="try again in a moment")
                problem.__cause__ = failure
            except SecurityError as failure:
                log.info("audit_page_refused", problem=failure.description, cause=type(failure.__cause__).__name__)
                problem = failure
            else:
                response.headers.update(self.rendering.headers)
                return response
            return self.rendering.problem(parse_view(request), problem, status=STATUS_OF.get(problem.error, 403))

        return answer
