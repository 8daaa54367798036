"""`security-common audit`: read the trail, check the journals, report, and hand over."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter
from redis.asyncio import Redis

from security_common.audit import Outcome, RecordedEvent
from security_common.audit.checkpoints import CheckpointKeyInvalid
from security_common.audit.reading.access_review import Month, review_access
from security_common.audit.reading.bundle import write_bundle
from security_common.audit.reading.expected_state import StreamState, read_expected_state
from security_common.audit.reading.export import COLUMNS, FORMATS
from security_common.audit.reading.report import KeyInUse, security_report
from security_common.audit.reading.search import (
    EventFilter,
    each_event,
    each_journal_event,
    find_newest_events,
    follow_events,
)
from security_common.audit.reading.trail_state import oldest_event, read_trail_state
from security_common.audit.reading.verify import Verdict, verify_service
from security_common.cli.audit_source import (
    RedisOptions,
    read_stream_state,
    service_directories,
    service_directory,
    service_keys,
    signed_by,
)
from security_common.cli.progress import Progress
from security_common.cli.terminal import paint, print_event, print_json
from security_common.encryption import open_encryption_service
from security_common.errors import SecurityError
from security_common.settings import SecuritySettings

__all__ = ["app"]

# What could not be checked ends as every command's error does, with 2.
INTACT, TAMPERED, UNCHECKED = 0, 1, 2

_Result = TypeVar("_Result")

app = App(
    version_flags=[],
    name="audit",
    help="""The audit trail: who did what, when, from where, with which outcome.

tail, search, report and export read the Redis stream; verify and bundle read the journal files themselves.
Times are UTC where they name no offset.
""",
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="one JSON object per event, for programs")]
Service = Annotated[str | None, Parameter(help="auth-service, mcp-resource-service; needed when both are there")]
FromJournals = Annotated[
    bool,
    Parameter(
        name="--journals",
        negative="",
        help="read the journal files below SECURITY_AUDIT_DIR, which reach further back than the stream in Redis",
    ),
]
PublicKeys = Annotated[
    list[Path] | None,
    Parameter(
        name="--public-key",
        negative="",
        help="PEM, to check checkpoints with instead of the service's own key; again for a key of an earlier time",
    ),
]
Keys = Annotated[
    Path | None,
    Parameter(
        env_var="SECURITY_AUDIT_KEYS_DIR",
        help="the folder that `security-common setup` wrote: each service's part is checked with the keys below it",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Filters:
    """Which events; filters combine."""

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
            since=_utc(self.since),
            until=_utc(self.until),
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
    """Show the newest events, oldest of them first; with --follow stay and show what comes.

    Example: security-common audit tail 50 --follow --outcome refused
    """

    async def run() -> None:
        criteria = (filters or Filters()).criteria()
        async with (redis or RedisOptions()).connect() as client:
            events, _ = await find_newest_events(client, criteria, limit=lines)
            for event in reversed(events):
                print_event(event, as_json=json)
            if follow:
                seen = events[0].cursor if events else None
                async with aclosing(follow_events(client, criteria, after=seen)) as events:
                    async for event in events:
                        print_event(event, as_json=json)

    _run(run())


@app.command
def search(
    *,
    limit: int = 100,
    page: str | None = None,
    filters: Filters | None = None,
    json: Json = False,
    redis: RedisOptions | None = None,
) -> None:
    """Find events, newest first. The last line on stderr says how to get the next page.

    Example: security-common audit search --user u_4f2c --since 2026-11-01 --json
    """

    async def run() -> None:
        async with (redis or RedisOptions()).connect() as client:
            criteria = (filters or Filters()).criteria()
            events, next_page = await find_newest_events(client, criteria, limit=limit, after=page)
        for event in events:
            print_event(event, as_json=json)
        if next_page:
            print(paint(f"more: --page {next_page}", "grey", sys.stderr), file=sys.stderr)

    _run(run())


@app.command
def verify(
    *,
    service: Annotated[str | None, Parameter(help="only this one; without it all whose journals are here")] = None,
    keys: Keys = None,
    public_key: PublicKeys = None,
    checkpoints: Annotated[Path | None, Parameter(help="checkpoints that were kept elsewhere")] = None,
    json: Json = False,
    redis: RedisOptions | None = None,
) -> None:
    """Check every line of the journals, their order and links, and what checkpoints and the stream say of them.

    Each service's journals and checkpoints are checked with its own keys. Where several services' journals are below
    SECURITY_AUDIT_DIR, --keys names the folder that has the keys of each.

    Exit status 0: intact. 1: something was changed, is missing or out of order; the first bad line is printed first.
    2: something could not be checked, for example because a key is not the one that was used.

    Example: security-common audit verify --service mcp-resource-service --checkpoints /safe/checkpoints.jws

    Example: security-common audit verify --keys .run/secrets
    """
    settings = SecuritySettings()
    directories = service_directories(settings, service)
    total, verdicts = Verdict(), dict[str, Verdict]()
    stream = StreamState()
    options = redis or RedisOptions()
    if options.redis is None:
        total.notes.append("without --redis the stream's cursors and checkpoints are not looked at")
    else:
        stream = _run(read_stream_state(options))
    progress = Progress("verifying", sum(map(_journal_bytes, directories)))
    for directory in directories:
        own = service_keys(settings, directory.name, folder=keys, public_keys=public_key or [])
        signed = [*signed_by(settings, directory, checkpoints), *stream.checkpoints]
        anchors = read_expected_state(signed, own.checkpoint, service=directory.name, shipped=stream.shipped)
        anchors.journals = [each for each in stream.journals if each.service == directory.name]
        for checked in directories:
            del anchors.others[checked.name]  # each is checked in its turn
        verdict = verify_service(directory, own.chain, anchors, progress=progress.advance)
        if not own.checkpoint:
            verdict.notes.append(
                f"{directory.name}: without a checkpoint key a tail that was cut off shows only in the stream's cursors"
            )
        verdicts[directory.name] = verdict
        total.add(verdict)
    progress.clear()
    _print_verdicts(total, verdicts, as_json=json)
    sys.exit(TAMPERED if total.findings else UNCHECKED if total.unchecked else INTACT)


@app.command
def report(
    *,
    month: Annotated[
        str | None, Parameter(help="2026-11: the review of access records (접속기록 점검) of that month")
    ] = None,
    language: Literal["ko", "en"] = "ko",
    time_zone: Annotated[ZoneInfo | None, Parameter(help="of the month; SECURITY_TIME_ZONE when not given")] = None,
    filters: Filters | None = None,
    journals: FromJournals = False,
    json: Json = False,
    redis: RedisOptions | None = None,
) -> None:
    """Sum up a period as Markdown or --json; with --month, write the monthly review of access records.

    Example: security-common audit report --since 2026-11-01

    Example: security-common audit report --month 2026-11 --language ko > review.md
    """
    period = _month(month, time_zone or SecuritySettings().time_zone) if month is not None else None
    criteria = (filters or Filters()).criteria() if period is None else _within(period)

    async def run() -> None:
        async with _events(redis, criteria, journals=journals) as (events, client, begins):
            if period is not None:
                review = await review_access(events, period, begins=begins)
                print_json(review.as_data()) if json else print(review.as_markdown(language))
                return
            told = await security_report(events)
            told.trail, told.keys = await read_trail_state(client) if client else None, _keys_in_use()
            print_json(told.as_data()) if json else print(told.as_markdown())

    _run(run())


@app.command
def export(
    target: Path | None = None,
    *,
    format: Literal["jsonl", "csv", "cloudevents", "ocsf"] = "jsonl",  # noqa: A002  # the name of the option
    filters: Filters | None = None,
    journals: FromJournals = False,
    redis: RedisOptions | None = None,
) -> None:
    """Write events, oldest first, to TARGET or stdout, in one of four formats.

    Example: security-common audit export november.csv --format csv --since 2026-11-01 --until 2026-12-01
    """

    async def run() -> int:
        count = 0
        out = target.open("w", encoding="utf-8") if target else sys.stdout
        try:
            if format == "csv":
                out.write(",".join(COLUMNS) + "\n")
            async with _events(redis, (filters or Filters()).criteria(), journals=journals) as (events, _, _):
                async for event in events:
                    out.write(FORMATS[format](event) + "\n")
                    count += 1
        finally:
            if target:
                out.close()
        return count

    count = _run(run())
    if target:
        print(f"{count} events in {target}", file=sys.stderr)


@app.command
def bundle(
    target: Path,
    *,
    since: datetime,
    until: datetime,
    service: Service = None,
    keys: Keys = None,
    checkpoints: Annotated[Path | None, Parameter(help="checkpoints that were kept elsewhere")] = None,
) -> None:
    """Write the events of a period, its checkpoints, the public key and a stand-alone verifier into one zip file.

    Example: security-common audit bundle november.zip --since 2026-11-01 --until 2026-12-01
    """
    settings = SecuritySettings()
    directory = service_directory(settings, service)
    own = service_keys(settings, directory.name, folder=keys, public_keys=[])
    if not own.checkpoint:
        raise CheckpointKeyInvalid(
            "no key to check the checkpoints with", hint="set SECURITY_AUDIT_CHECKPOINT_KEY_FILE or give --keys"
        )
    signed = [each.text for each in signed_by(settings, directory, checkpoints)]
    begins, ends = since.replace(tzinfo=since.tzinfo or UTC), until.replace(tzinfo=until.tzinfo or UTC)
    for each in write_bundle(target, directory, signed, own.checkpoint[0], since=begins, until=ends):
        covered = "sealed by a checkpoint" if each.sealed else "the last lines have no checkpoint yet"
        print(f"journal {each.journal_id}: seq {each.first_seq} to {each.last_seq}, {covered}", file=sys.stderr)


@asynccontextmanager
async def _events(
    options: RedisOptions | None, criteria: EventFilter, *, journals: bool
) -> AsyncGenerator[tuple[AsyncIterator[RecordedEvent], Redis | None, datetime | None]]:
    """The events that match, from the stream or from the journals; the Redis they came from; and when they begin.

    The last is only known where the stream begins later than what was asked for, which is also said on stderr.
    """
    if journals:
        yield each_journal_event(service_directories(SecuritySettings(), None), criteria), None, None
        return
    async with (options or RedisOptions()).connect() as client:
        oldest = await oldest_event(client)
        asked_from, begins = criteria.since, None
        if oldest is not None and oldest.seq > 1 and (asked_from is None or oldest.timestamp > asked_from):
            begins = oldest.timestamp
            told = f"note: the stream begins at {oldest.timestamp:%Y-%m-%d %H:%M:%S} UTC; older events: --journals"
            print(paint(told, "yellow", sys.stderr), file=sys.stderr)
        yield each_event(client, criteria), client, begins


def _within(period: Month) -> EventFilter:
    return EventFilter(since=period.since, until=period.until)


def _journal_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("*/security_audit*.log"))


def _print_verdicts(total: Verdict, verdicts: dict[str, Verdict], *, as_json: bool) -> None:
    if as_json:
        each = {name: {"intact": verdict.intact} | asdict(verdict) for name, verdict in verdicts.items()}
        print_json({"intact": total.intact} | asdict(total) | {"services": each})
        return
    for finding in total.findings:
        print(paint(str(finding), "red"))
    for problem in total.unchecked:
        print(paint(problem, "red"))
    for note in total.notes:
        print(paint(f"note: {note}", "yellow", sys.stderr), file=sys.stderr)
    for name, verdict in verdicts.items():
        counted = f"lines: {verdict.lines}, journals: {len(verdict.journals)}, checkpoints: {verdict.checkpoints}"
        print(f"{name}: {_in_words(verdict)} ({counted})")


def _in_words(verdict: Verdict) -> str:
    if verdict.findings:
        return paint("NOT intact", "red")
    return paint("NOT fully checked", "red") if verdict.unchecked else paint("intact", "green")


def _keys_in_use() -> list[KeyInUse]:
    settings = SecuritySettings()
    if settings.encryption_key_file is None:
        return []
    return [KeyInUse("stored data", *each) for each in open_encryption_service(settings).key_states().items()]


def _month(text: str, zone: ZoneInfo) -> Month:
    try:
        return Month.parse(text, zone)
    except ValueError as error:
        raise PeriodInvalid(f"{text} is no month", hint="for example --month 2026-11") from error


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _run(coroutine: Coroutine[object, object, _Result]) -> _Result:
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt:
        sys.exit(130)
