"""What the audit page shows: period, filters and position, parsed from the query string and written back into links."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request

from security_common.audit import Outcome
from security_common.audit.reading import EventFilter
from security_common.audit.reading.access_review import Month
from security_common.audit.reading.alerts import Language
from security_common.edge.content_negotiation import preferred_languages

__all__ = ["PERIODS", "QUERY_PARAMETERS", "Language", "TrailQuery", "parse_query", "recent_months", "whole_seconds"]

PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
DEFAULT_PERIOD = "24h"
MAX_VALUE_CHARACTERS = 128
LISTED_MONTHS = 13

# Name and OpenAPI description of each parameter. `parse_query` reads exactly these.
QUERY_PARAMETERS: Mapping[str, str] = {
    "language": "Language of the page: `en` or `ko`. By default the language that the browser prefers.",
    "period": f"Period that ends now: {', '.join(f'`{period}`' for period in PERIODS)}; or a month: `2026-11`.",
    "since": "Beginning in the time zone of the page, as `2026-11-03T09:00`. With it, `period` is ignored.",
    "until": "End in the time zone of the page, exclusive; used with `since`. By default now.",
    "event_type": "Only events of this type.",
    "tool_name": "Only calls of this tool.",
    "outcome": f"Only events with this outcome: {', '.join(f'`{outcome}`' for outcome in Outcome)}.",
    "client_id": "Only events of this client.",
    "user_id": "Only events of this user.",
    "after": "Position of the page: the token in the link to older events.",
    "first": "The number of the first event on that page.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailQuery:
    """One view of the audit trail. An empty string filters nothing."""

    language: Language
    period: str = DEFAULT_PERIOD
    since: str = ""
    until: str = ""
    event_type: str = ""
    tool_name: str = ""
    outcome: str = ""
    client_id: str = ""
    user_id: str = ""
    after: str = ""
    first: str = ""

    def span(self, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Returns beginning and end of the shown time, in UTC."""
        since = _parse_time(self.since, zone)
        if since is not None:
            until = _parse_time(self.until, zone) or now
            return since, max(until, since + timedelta(seconds=1))
        if self.period in PERIODS:
            return now - PERIODS[self.period], now
        month = Month.parse(self.period, zone)
        return month.since, month.until

    def criteria(self, now: datetime, zone: ZoneInfo) -> EventFilter:
        """Returns the filter for reading the audit trail."""
        since, until = self.span(now, zone)
        return EventFilter(
            event_type=self.event_type or None,
            tool_name=self.tool_name or None,
            outcome=Outcome(self.outcome) if self.outcome else None,
            client_id=self.client_id or None,
            user_id=self.user_id or None,
            since=since,
            until=until,
        )

    @property
    def first_number(self) -> int:
        """The number of the first listed event, for people: it is taken from the link that led to the page."""
        return int(self.first) if self.after and self.first.isdecimal() and len(self.first) < 10 else 1

    def link(self, **changes: str) -> str:
        """Returns the query string with some changes. It starts at the first page unless `after` is given."""
        changes.setdefault("after", "")
        changes.setdefault("first", "")
        if "period" in changes:
            changes.setdefault("since", "")
            changes.setdefault("until", "")
        changed = replace(self, **changes)  # pyright: ignore[reportArgumentType] - names of fields
        values: dict[str, Any] = {name: getattr(changed, name) for name in QUERY_PARAMETERS}
        return "?" + urlencode({name: value for name, value in values.items() if value})


def parse_query(request: Request) -> TrailQuery:
    """Parses the query string. Invalid values are ignored and never an error."""
    values = {name: request.query_params.get(name, "")[:MAX_VALUE_CHARACTERS] for name in QUERY_PARAMETERS}
    values["language"] = _language(request)
    if values["period"] not in PERIODS and not _is_month(values["period"]):
        values["period"] = DEFAULT_PERIOD
    for name in ("since", "until"):
        if _parse_time(values[name], UTC) is None:
            values[name] = ""
    if values["outcome"] not in set(Outcome):
        values["outcome"] = ""
    return TrailQuery(**values)  # pyright: ignore[reportArgumentType] - `_language` returns a Language


def recent_months(now: datetime, zone: ZoneInfo) -> list[str]:
    """Returns the current month and those before it, as values of `period`."""
    local = now.astimezone(zone)
    months = [local.year * 12 + local.month - 1 - back for back in range(LISTED_MONTHS)]
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in months]


def whole_seconds(moment: datetime, zone: ZoneInfo, *, rounds_up: bool = False) -> str:
    """Returns a time as a value of `since` or, if it rounds up, of `until`: no event between the two is left out."""
    local = moment.astimezone(zone)
    if rounds_up and local.microsecond:
        local += timedelta(seconds=1)
    return f"{local:%Y-%m-%dT%H:%M:%S}"


def _is_month(text: str) -> bool:
    return re.fullmatch("20[0-9]{2}-(?:0[1-9]|1[0-2])", text) is not None


def _parse_time(text: str, zone: tzinfo) -> datetime | None:
    """Returns a time of the query string in UTC; None without a valid one. It is local, as a form field sends it."""
    if re.fullmatch("20[0-9]{2}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?", text) is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None


def _language(request: Request) -> Language:
    """Returns the language of the query string or of the sign-in, otherwise the browser's first that the page has."""
    requested = request.query_params.get("language") or getattr(request.state, "language", "")
    accepted = preferred_languages(request.headers.get("accept-language", ""), ("en", "ko"))
    for language in (requested, *accepted):
        if language in {"en", "ko"}:
            return cast("Language", language)
    return "en"
