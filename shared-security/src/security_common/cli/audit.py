"""`security-common audit`: read the audit trail, check the journals, report, and export."""

import asyncio
import sys
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TextIO
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from security_common.audit import Outcome
from security_common.audit.reading.access_review import Month
from security_common.audit.reading.export import FORMATS
from security_common.audit.reading.report import KeyInUse
from security_common.audit.reading.search import EventFilter, find_newest_events, follow_events
from security_common.cli.audit_events import FromJournals, FromStream, open_source, open_trail
from security_common.cli.audit_journals import bundle, verify
from security_common.cli.audit_source import RedisOptions, with_offset
from security_common.cli.terminal import ExportProgress, paint, print_event, print_json, print_note
from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.settings import SecuritySettings

__all__ = ["app"]

app = App(
    version_flags=[],
    name="audit",
    help="""The audit trail: who did what, when, from where, and with which outcome.

search, report and export read the index of the audit trail where there is one, otherwise the Redis stream, as tail
does; verify and bundle read the journal files.
Times without an offset are UTC.
""",
)
app.command(verify)
app.command(bundle)

Json = Annotated[bool, Parameter(name="--json", negative="", help="one JSON object for each event, for programs")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Filters:
    """Which events; all filters apply together."""

    user: str | None = None
    client: str | None = None
    issuer: str | None = None
    tool: str | None = None
    outcome: Outcome | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def criteria(self) -> EventFilter:
        return EventFilter(
            user_id=self.user,
            client_id=self.client,
            issuer=self.issuer,
            tool_name=self.tool,
            outcome=self.outcome,
            event_type=self.type,
            since=with_offset(self.since) if self.since else None,
            until=with_offset(self.until) if self.until else None,
        )


class PeriodInvalid(SecurityError):
    """A month or period that cannot be read."""

    error = "invalid_period"


@app.command
def tail(
    lines: int = 20,
    *,
    follow: bool = False,
    filters: Filters | None = None,
    json: Json = False,
    redis: RedisOptions | None = None,
) -> None:
    """Show the newest events, the oldest of them first; with --follow also every new event.

    Example: security-common audit tail 50 --follow --outcome refused
    """

    async def run() -> None:
        criteria = (filters or Filters()).criteria()
        async with (redis or RedisOptions()).connect() as client:
            newest, _ = await find_newest_events(client, criteria, limit=lines)
            for event in reversed(newest):
                print_event(event, as_json=json)
            if not follow:
                return
            last_shown = newest[0].entry_id if newest else None
            async with aclosing(follow_events(client, criteria, after=last_shown)) as new_events:
                async for event in new_events:
                    print_event(event, as_json=json)

    asyncio.run(run())


@app.command
def search(
    *,
    limit: int = 100,
    page: str | None = None,
    filters: Filters | None = None,
    stream: FromStream = False,
    json: Json = False,
    redis: RedisOptions | None = None,
) -> None:
    """Find events, newest first. The last line on stderr shows how to get the next page.

    Example: security-common audit search --user u_4f2c --since 2026-11-01 --json
    """

    async def run() -> None:
        criteria = (filters or Filters()).criteria()
        async with open_trail(redis, stream=stream) as trail:
            events, next_page = await trail.newest(criteria, limit=limit, after=page)
            print_note(trail.freshness_note())
        for event in events:
            print_event(event, as_json=json)
        if next_page:
            print(paint(f"more: --page {next_page}", "grey", sys.stderr), file=sys.stderr)

    asyncio.run(run())


@app.command
def report(
    *,
    month: Annotated[
        str | None, Parameter(help="for example 2026-11: the review of access records (접속기록 점검) of that month")
    ] = None,
    language: Literal["ko", "en"] = "ko",
    time_zone: Annotated[ZoneInfo | None, Parameter(help="of the month; by default SECURITY_TIME_ZONE")] = None,
    filters: Filters | None = None,
    journals: FromJournals = False,
    stream: FromStream = False,
    json: Json = False,
    redis: RedisOptions | None = None,
) -> None:
    """Summarize a period as Markdown or --json; with --month, write the monthly review of access records.

    Example: security-common audit report --since 2026-11-01

    Example: security-common audit report --month 2026-11 --language ko > review.md
    """
    period = _month(month, time_zone or SecuritySettings().time_zone) if month is not None else None
    criteria = EventFilter(since=period.since, until=period.until) if period else (filters or Filters()).criteria()

    async def run() -> None:
        async with open_source(redis, journals=journals, stream=stream) as source:
            print_note(await source.note(criteria.since))
            if period is not None:
                review = await source.review(period)
                if json:
                    print_json(review.as_data())
                else:
                    print(review.as_markdown(language))
                return
            summary = await source.report(criteria)
            summary.keys = _keys_in_use()
            if json:
                print_json(summary.as_data())
            else:
                print(summary.as_markdown())

    asyncio.run(run())


@app.command
def export(
    target: Path | None = None,
    *,
    format: Literal["jsonl", "csv", "cloudevents", "ocsf"] = "jsonl",  # noqa: A002  # the name of the option
    filters: Filters | None = None,
    journals: FromJournals = False,
    stream: FromStream = False,
    redis: RedisOptions | None = None,
) -> None:
    """Write events, oldest first, to TARGET or stdout, in one of four formats.

    Example: security-common audit export november.csv --format csv --since 2026-11-01 --until 2026-12-01
    """
    export_format = FORMATS[format]

    criteria = (filters or Filters()).criteria()

    async def run(out: TextIO) -> int:
        if export_format.header:
            out.write(export_format.header + "\n")
        async with open_source(redis, journals=journals, stream=stream) as source:
            print_note(await source.note(criteria.since))
            progress = ExportProgress(await source.count(criteria)) if target else None
            count = 0
            async for event in source.events(criteria):
                out.write(export_format.write_event(event) + "\n")
                count += 1
                if progress is not None:
                    progress.show(count)
        return count

    if target is None:
        asyncio.run(run(sys.stdout))
        return
    with target.open("w", encoding="utf-8") as file:
        count = asyncio.run(run(file))
    print(f"{count} events in {target}", file=sys.stderr)


def _keys_in_use() -> list[KeyInUse]:
    settings = SecuritySettings()
    if settings.encryption_key_file is None:
        return []
    states = open_encryption_service(settings).key_states()
    return [KeyInUse("stored data", key_id, state) for key_id, state in states.items()]


def _month(text: str, zone: ZoneInfo) -> Month:
    try:
        return Month.parse(text, zone)
    except ValueError as error:
        raise PeriodInvalid(f"{text} is not a month", hint="for example --month 2026-11") from error
