"""The audit trail: one's own for everybody, everybody's for auditors, and the report computed from it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, cast

from fastmcp import Context, FastMCP
from pydantic import AwareDatetime, Field
from redis.asyncio import Redis
from typing_extensions import TypedDict

from mcp_resource_service.scopes import AUDIT_SCOPE
from mcp_resource_service.store_errors import asking
from mcp_resource_service.tools.caller import calling
from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading import (
    EventFilter,
    KeyInUse,
    SecurityReport,
    each_event,
    read_events,
    read_trail_state,
)
from security_common.errors import SecurityError
from security_common.tool_policy import Identifier, secure_tool

__all__ = ["ScopeMissing", "read_own_trail", "register", "scopes_of_trail_call"]

TRAIL = "the audit trail"
PROGRESS_EVERY_EVENTS = 500
REPORTS_AT_ONCE = 2
# Stream ids are runs of digits, which look like account numbers to the detector; tokens are the same in letters.
TO_LETTERS = str.maketrans("0123456789-", "abcdefghijz")
TO_DIGITS = str.maketrans("abcdefghijz", "0123456789-")

Whose = Annotated[
    Literal["mine", "everyone"],
    Field(
        description="`mine`: calls under your own identity. `everyone`: all, which needs the scope mcp.audit. "
        "조회 범위. everyone은 mcp.audit 권한이 필요합니다."
    ),
]
Since = Annotated[AwareDatetime | None, Field(description="Only events at or after this time (RFC 3339). 시작 시각.")]
Until = Annotated[AwareDatetime | None, Field(description="Only events before this time (RFC 3339). 끝 시각.")]


class ScopeMissing(SecurityError):
    """The call asks for more than its token allows."""

    error: ClassVar[str] = "insufficient_scope"


class EventInfo(TypedDict):
    """One audit event, without its place in the chain."""

    timestamp: datetime
    event_type: str
    tool_name: str | None
    user_id: str | None
    client_id: str | None
    contains_pii: bool
    pii_kinds: dict[str, int]
    action_taken: str
    outcome: str
    reason: str | None
    source_address: str | None
    task: str | None
    alert: dict[str, str | int]
    duration_ms: float | None
    event_id: str


class AuditLog(TypedDict):
    """One page of the trail, newest first."""

    events: list[EventInfo]
    next_token: str | None


class Report(TypedDict):
    """The report for people, and its figures for programs."""

    markdown: str
    figures: dict[str, Any]


def scopes_of_trail_call(arguments: Mapping[str, Any]) -> frozenset[str]:
    """What a call of these tools needs, for the guard: everybody's trail is the auditors'."""
    return frozenset({AUDIT_SCOPE}) if arguments.get("whose") == "everyone" else frozenset()


def register(mcp: FastMCP, redis: Redis, *, keys_in_use: Callable[[], Sequence[KeyInUse]]) -> None:
    """Adds `get_security_audit_log` and `generate_security_report`."""
    reports = asyncio.Semaphore(REPORTS_AT_ONCE)  # each reads the whole trail: many at once would slow everybody down

    @mcp.tool(
        title="Audit log · 보안 감사 로그",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask")
    async def get_security_audit_log(
        *,
        whose: Whose = "mine",
        limit: Annotated[int, Field(description="Events per page. 한 번에 가져올 개수.", ge=1, le=200)] = 20,
        next_token: Annotated[
            str | None,
            Identifier,
            Field(
                description="From the page before, to go on behind it. 이전 응답의 next_token.", pattern=r"^[a-jz]+$"
            ),
        ] = None,
        tool_name: Annotated[
            str | None, Field(description="Only calls of this tool. 도구 이름.", max_length=64)
        ] = None,
        outcome: Annotated[Outcome | None, Field(description="Only events that ended so. 결과.")] = None,
        event_type: Annotated[
            str | None, Field(description="Only events of this type. 이벤트 종류.", max_length=64)
        ] = None,
        since: Since = None,
        until: Until = None,
    ) -> AuditLog:
        """Read the audit trail, newest first: who called what, when, from where, with which outcome.

        It holds no arguments or results, only that and which kinds of personal data were in them. A fresh event shows
        up within a second. Filters combine. 감사 로그를 최신순으로 조회합니다. 인자와 결과의 값은 기록되지 않습니다.
        """
        criteria = _criteria(
            whose, tool_name=tool_name, outcome=outcome, event_type=event_type, since=since, until=until
        )
        after = next_token.translate(TO_DIGITS) if next_token else None
        with asking(TRAIL):
            page = await read_events(redis, criteria, limit=limit, after=after)
        going_on = page.next_token.translate(TO_LETTERS) if page.next_token else None
        return {"events": [_info(event) for event in page.events], "next_token": going_on}

    @mcp.tool(
        title="Security report · 보안 보고서",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask")
    async def generate_security_report(
        context: Context, whose: Whose = "mine", since: Since = None, until: Until = None
    ) -> Report:
        """Compute a report from the audit trail: people, clients, tools, refusals, alerts, kinds of personal data.

        It says too whether the chain of the trail holds, and which keys are in use. Returns Markdown for people and
        the same figures as data. Reports progress on long trails; closing the stream cancels it. 감사 로그로 보안
        보고서를 만듭니다. 사람이 읽는 Markdown과 수치 데이터를 함께 반환합니다.
        """
        report, wanted, read = SecurityReport(), _criteria(whose, since=since, until=until), 0
        async with reports:
            with asking(TRAIL):
                total = await redis.xlen("audit:events")
                async for event in each_event(redis, replace(wanted, user_id=None, issuer=None)):
                    read += 1
                    if wanted.matches(event):
                        report.add(event)
                    if read % PROGRESS_EVERY_EVENTS == 0:
                        await context.report_progress(read, max(total, read), "events read")
                report.trail, report.keys = await read_trail_state(redis), keys_in_use()
        return {"markdown": report.as_markdown(), "figures": report.as_data()}


async def read_own_trail(redis: Redis, *, limit: int) -> list[EventInfo]:
    """The caller's newest events. Raises StoreUnavailable."""
    with asking(TRAIL):
        page = await read_events(redis, _criteria("mine"), limit=limit)
    return [_info(event) for event in page.events]


def _criteria(whose: Literal["mine", "everyone"], **wanted: Any) -> EventFilter:
    token = calling().token
    if whose == "everyone":
        if AUDIT_SCOPE not in token.scopes:
            raise ScopeMissing("everyone's trail needs the scope mcp.audit", hint="call again with whose=mine")
        return EventFilter(**wanted)
    return EventFilter(user_id=token.subject, issuer=token.issuer, **wanted)


def _info(event: RecordedEvent) -> EventInfo:
    members = {name: getattr(event, name) for name in EventInfo.__annotations__}
    return cast("EventInfo", members | {"pii_kinds": dict(event.pii_kinds), "alert": dict(event.alert)})
