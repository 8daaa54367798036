"""The tools that read the audit trail: the caller's own events, or everyone's with the scope mcp.audit."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastmcp import Context, FastMCP
from pydantic import AwareDatetime, Field
from typing_extensions import TypedDict

from mcp_resource_service.scopes import ACCESS_SCOPE, AUDIT_SCOPE
from mcp_resource_service.store_errors import redis_errors_as_unavailable
from mcp_resource_service.tools.caller import verified_caller
from security_common.audit import Outcome, RecordedEvent
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.audit.reading import EventFilter, KeyInUse
from security_common.tool_policy import ArgumentScope, Identifier, secure_tool

__all__ = ["read_own_events", "register"]

STORE_NAME = "the audit trail"
CONCURRENT_REPORTS = 2
# A paging token is two numbers. The detector would take its digits for an account number, so it is sent in letters.
TO_LETTERS = str.maketrans("0123456789-", "abcdefghijz")
TO_DIGITS = str.maketrans("abcdefghijz", "0123456789-")

Whose = Annotated[
    Literal["mine", "everyone"],
    Field(
        description="`mine`: events of your own identity. `everyone`: all events; requires the scope mcp.audit. "
        "조회 범위. everyone은 mcp.audit 권한이 필요합니다."
    ),
]
EVERYONE_NEEDS_AUDIT = ArgumentScope(AUDIT_SCOPE, argument="whose", value="everyone")

Since = Annotated[AwareDatetime | None, Field(description="Only events at or after this time (RFC 3339). 시작 시각.")]
Until = Annotated[AwareDatetime | None, Field(description="Only events before this time (RFC 3339). 끝 시각.")]


class EventInfo(TypedDict):
    """One audit event, without the members that link it to the chain."""

    timestamp: datetime
    event_type: str
    tool_name: str | None
    user_id: str | None
    client_id: str | None
    contains_pii: bool
    pii_kinds: dict[str, int]
    revealed_kinds: dict[str, int]
    action_taken: str
    outcome: str
    reason: str | None
    source_address: str | None
    task: str | None
    alert: dict[str, str | int]
    duration_ms: float | None
    event_id: str


class AuditLog(TypedDict):
    """One page of audit events, newest first."""

    events: list[EventInfo]
    next_token: str | None


class Report(TypedDict):
    """The report as Markdown, and the same figures as data."""

    markdown: str
    figures: dict[str, Any]


def register(mcp: FastMCP, trail: SearchableTrail, *, keys_in_use: Callable[[], Sequence[KeyInUse]]) -> None:
    """Adds `get_security_audit_log` and `generate_security_report`."""
    # A report can read the whole trail; more of them at once would slow down every other request.
    report_limit = asyncio.Semaphore(CONCURRENT_REPORTS)

    @mcp.tool(
        title="Audit log · 감사 기록",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE], argument_scopes=[EVERYONE_NEEDS_AUDIT])
    async def get_security_audit_log(
        *,
        whose: Whose = "mine",
        limit: Annotated[int, Field(description="Events per page. 한 번에 가져올 개수.", ge=1, le=200)] = 20,
        next_token: Annotated[
            str | None,
            Identifier,
            Field(
                description="The next_token of the previous page. 다음 쪽을 보려면 이전 응답의 next_token 값.",
                pattern=r"^[a-jz]+$",
            ),
        ] = None,
        tool_name: Annotated[
            str | None, Field(description="Only calls of this tool. 이 도구의 호출만 조회.", max_length=64)
        ] = None,
        outcome: Annotated[Outcome | None, Field(description="Only events with this outcome. 이 결과만 조회.")] = None,
        event_type: Annotated[
            str | None, Field(description="Only events of this type. 이 종류의 이벤트만 조회.", max_length=64)
        ] = None,
        since: Since = None,
        until: Until = None,
    ) -> AuditLog:
        """Read the audit trail, newest events first: who called what, when, from where, with which outcome.

        Events contain no argument values and no results, only which kinds of personal data they contained. A new event
        appears within a second. Filters combine.
        감사 기록을 최신순으로 조회합니다. 인수와 결과 값은 기록하지 않습니다.
        """
        criteria = _criteria(
            whose, tool_name=tool_name, outcome=outcome, event_type=event_type, since=since, until=until
        )
        after = next_token.translate(TO_DIGITS) if next_token else None
        page = await trail.page(criteria, limit=limit, after=after)
        return {
            "events": [_event_info(event) for event in page.events],
            "next_token": page.next_token.translate(TO_LETTERS) if page.next_token else None,
        }

    @mcp.tool(
        title="Security report · 보안 보고서",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE], argument_scopes=[EVERYONE_NEEDS_AUDIT])
    async def generate_security_report(
        context: Context, whose: Whose = "mine", since: Since = None, until: Until = None
    ) -> Report:
        """Compute a report from the audit trail: users, clients, tools, refusals, alerts, kinds of personal data.

        It also reports whether the chain of events is intact and which keys are in use. Returns Markdown and the same
        figures as data. Sends the number of events as progress; closing the stream cancels the call.
        감사 기록으로 보안 보고서를 만듭니다. 사람이 읽는 Markdown과 수치 데이터를 함께 반환합니다.
        """
        criteria = _criteria(whose, since=since, until=until)
        async with report_limit:
            with redis_errors_as_unavailable(STORE_NAME):
                total = await trail.count(criteria)
                await context.report_progress(0, total, "events found")
                report = await trail.security_report(criteria)
                await context.report_progress(report.events, max(total, report.events), "events counted")
                report.trail = await trail.state()
                report.keys = keys_in_use()
        return {"markdown": report.as_markdown(), "figures": report.as_data()}


async def read_own_events(trail: SearchableTrail, *, limit: int) -> list[EventInfo]:
    """Returns the caller's newest events. Raises IndexUnavailable."""
    page = await trail.page(_criteria("mine"), limit=limit)
    return [_event_info(event) for event in page.events]


def _criteria(whose: Literal["mine", "everyone"], **filters: Any) -> EventFilter:
    if whose == "everyone":
        return EventFilter(**filters)
    token = verified_caller().token
    return EventFilter(user_id=token.subject, issuer=token.issuer, **filters)


def _event_info(event: RecordedEvent) -> EventInfo:
    members = {name: getattr(event, name) for name in EventInfo.__annotations__}
    mappings = {name: dict(members[name]) for name in ("pii_kinds", "revealed_kinds", "alert")}
    return cast("EventInfo", members | mappings)
