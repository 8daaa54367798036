"""What the audit page shows: period, filters and position, parsed from the query string and written back into links."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from starlette.requests import Request

from security_common.audit import Outcome
from security_common.audit.reading import EventFilter
from security_common.audit.reading.alerts import Language
from security_common.edge.content_negotiation import preferred_languages

__all__ = ["PERIODS", "QUERY_PARAMETERS", "Language", "TrailQuery", "parse_query"]

PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
DEFAULT_PERIOD = "24h"
MAX_VALUE_CHARACTERS = 128

# Name and OpenAPI description of each parameter. `parse_query` reads exactly these.
QUERY_PARAMETERS: Mapping[str, str] = {
    "language": "Language of the page: `en` or `ko`. By default the language that the browser prefers.",
    "period": f"Period that ends now: {', '.join(f'`{period}`' for period in PERIODS)}.",
    "event_type": "Only events of this type.",
    "tool_name": "Only calls of this tool.",
    "outcome": f"Only events with this outcome: {', '.join(f'`{outcome}`' for outcome in Outcome)}.",
    "client_id": "Only events of this client.",
    "user_id": "Only events of this user.",
    "after": "Position of the page: the token in the link to older events.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailQuery:
    """One view of the audit trail. An empty string filters nothing."""

    language: Language
    period: str = DEFAULT_PERIOD
    event_type: str = ""
    tool_name: str = ""
    outcome: str = ""
    client_id: str = ""
    user_id: str = ""
    after: str = ""

    def criteria(self, now: datetime) -> EventFilter:
        """Returns the filter for reading the audit trail."""
        return EventFilter(
            event_type=self.event_type or None,
            tool_name=self.tool_name or None,
            outcome=Outcome(self.outcome) if self.outcome else None,
            client_id=self.client_id or None,
            user_id=self.user_id or None,
            since=now - PERIODS[self.period],
            until=now,
        )

    def link(self, **changes: str) -> str:
        """Returns the query string with some changes. It starts at the first page unless `after` is given."""
        changes.setdefault("after", "")
        changed = replace(self, **changes)  # pyright: ignore[reportArgumentType] - names of fields
        values: dict[str, Any] = {name: getattr(changed, name) for name in QUERY_PARAMETERS}
        return "?" + urlencode({name: value for name, value in values.items() if value})


def parse_query(request: Request) -> TrailQuery:
    """Parses the query string. Invalid values are ignored and never an error."""
    values = {name: request.query_params.get(name, "")[:MAX_VALUE_CHARACTERS] for name in QUERY_PARAMETERS}
    values["language"] = _language(request)
    if values["period"] not in PERIODS:
        values["period"] = DEFAULT_PERIOD
    if values["outcome"] not in set(Outcome):
        values["outcome"] = ""
    return TrailQuery(**values)  # pyright: ignore[reportArgumentType] - `_language` returns a Language


def _language(request: Request) -> Language:
    """Returns the language of the query string or of the sign-in, otherwise the browser's first that the page has."""
    requested = request.query_params.get("language") or getattr(request.state, "language", "")
    accepted = preferred_languages(request.headers.get("accept-language", ""), ("en", "ko"))
    for language in (requested, *accepted):
        if language in {"en", "ko"}:
            return cast("Language", language)
    return "en"
