"""The pages that show the audit trail: overview, one event, and the download."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from mcp_resource_service.audit_page.alert_incidents import group_alerts
from mcp_resource_service.audit_page.auditors import AuditorAccess
from mcp_resource_service.audit_page.charts import BUCKETS, count_events, draw_chart
from mcp_resource_service.audit_page.rendering import Rendering
from mcp_resource_service.audit_page.trail_query import TrailQuery, parse_query, recent_months
from mcp_resource_service.store_errors import NotFound
from security_common.audit import Action, EventType, Journal, RecordedEvent
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.audit.reading import EventFilter
from security_common.audit.reading.access_review import Month
from security_common.audit.reading.export import COLUMNS, FORMATS
from security_common.errors import SecurityError
from security_common.pii import PIIDetector

__all__ = ["MEDIA_TYPES", "TrailPages"]

LISTED_EVENTS = 50
READ_ALERTS = 500
MEDIA_TYPES: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
EXPORT_ACTIONS = {"csv": Action.EXPORTED_CSV, "jsonl": Action.EXPORTED_JSONL}
# Excel recognizes UTF-8 in a CSV file only by the byte order mark.
CSV_HEADER = "\ufeff" + ",".join(COLUMNS) + "\r\n"


class SessionEnded(SecurityError):
    """A form needs a signed-in auditor, and there is none any more."""

    error: ClassVar[str] = "session_ended"


class TrailPages:
    """The pages for a signed-in auditor; `clock` returns seconds since the epoch."""

    def __init__(
        self,
        auditors: AuditorAccess,
        rendering: Rendering,
        trail: SearchableTrail,
        journal: Journal,
        detector: PIIDetector,
        *,
        time_zone: ZoneInfo,
        clock: Callable[[], float],
    ) -> None:
        self._auditors = auditors
        self._rendering = rendering
        self._trail = trail
        self._journal = journal
        self._detector = detector
        self._time_zone = time_zone
        self._clock = clock

    async def overview(self, request: Request) -> Response:
        """Shows charts, the newest events, and the state of the audit trail."""
        query = parse_query(request)
        auditor = await self._auditors.of_request(request)
        if auditor is None:
            return _redirect_to_sign_in(query)
        now = self._now()
        since, until = query.span(now, self._time_zone)
        criteria = query.criteria(now, self._time_zone)
        alerts = EventFilter(event_type=EventType.SECURITY_ALERT, since=since, until=until)
        raised = await self._trail.page(alerts, limit=READ_ALERTS)
        counts = await self._trail.count_by_time(criteria, parts=BUCKETS)
        listed = await self._trail.page(criteria, limit=LISTED_EVENTS, after=query.after or None)
        await self._auditors.record(request, auditor, Action.LISTED, task="view")
        series_by_chart = count_events(counts)
        return self._rendering.overview(
            query,
            charts=[
                draw_chart(key, series, since=since, until=until, zone=self._time_zone)
                for key, series in series_by_chart.items()
            ],
            incidents=group_alerts(raised.events),
            page=listed,
            total=await self._trail.count(criteria),
            now=now,
            state=await self._trail.state(),
            writable=self._journal.writable,
        )

    async def review(self, request: Request) -> Response:
        """Shows the review of access records (안전성 확보조치 기준 제8조) of a month, by default of the last one."""
        query = parse_query(request)
        auditor = await self._auditors.of_request(request)
        if auditor is None:
            return _redirect_to_sign_in(query)
        months = recent_months(self._now(), self._time_zone)
        if query.period not in months:
            query = replace(query, period=months[1])
        review = await self._trail.access_review(Month.parse(query.period, self._time_zone))
        await self._auditors.record(request, auditor, Action.LISTED, task="view")
        return self._rendering.review(query, review, months=months)

    async def event(self, request: Request) -> Response:
        """Shows one event with all its members."""
        query = parse_query(request)
        auditor = await self._auditors.of_request(request)
        if auditor is None:
            return _redirect_to_sign_in(query)
        event = await self._trail.find(request.path_params["cursor"])
        if event is None:
            raise NotFound("there is no such event", hint="old events are removed; go back to the list")
        await self._auditors.record(request, auditor, Action.VIEWED_EVENT, task="view")
        return self._rendering.event(query, event)

    async def download(self, request: Request) -> Response:
        """Streams the selected events as a file. The reason is required and recorded (안전성 확보조치 기준 제8조)."""
        self._auditors.require_own_form(request)
        auditor = await self._auditors.of_request(request)
        if auditor is None:
            raise SessionEnded("the session has ended", hint="sign in again")
        async with request.form(max_files=0, max_fields=4) as form:
            reason = str(form.get("reason", "")).strip()
            file_format = str(form.get("format", ""))
        query = parse_query(request)
        now = self._now()
        if not reason or file_format not in MEDIA_TYPES:
            return self._rendering.message(query, "reason_missing", status=400)
        await self._auditors.record(
            request, auditor, EXPORT_ACTIONS[file_format], task="download", reason=self._detector.mask_text(reason)
        )
        return StreamingResponse(
            _export(file_format, self._trail.each(query.criteria(now, self._time_zone))),
            media_type=MEDIA_TYPES[file_format],
            headers={"Content-Disposition": f'attachment; filename="audit-{now:%Y%m%dT%H%M%SZ}.{file_format}"'},
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _redirect_to_sign_in(query: TrailQuery) -> Response:
    return RedirectResponse(f"/audit/sign-in{query.link()}", status_code=303)


async def _export(file_format: str, events: AsyncIterator[RecordedEvent]) -> AsyncIterator[str]:
    """Yields one line for each event; a CSV file begins with the column names."""
    line_end = "\n"
    if file_format == "csv":
        line_end = "\r\n"
        yield CSV_HEADER
    async for event in events:
        yield FORMATS[file_format].write_event(event) + line_end
