"""What to show: parsed once from the query string, and written back into links."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, cast
from urllib.parse import urlencode

from starlette.requests import Request

from security_common.audit import Outcome
from security_common.audit.reading import EventFilter

__all__ = ["PERIODS", "Language", "View", "parse_view"]

Language = Literal["en", "ko"]
PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
DEFAULT_PERIOD = "24h"
TEXT_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One way of looking at the trail. Empty strings filter nothing."""

    language: Language
    period: str = DEFAULT_PERIOD
    event_type: str = ""
    tool_name: str = ""
    outcome: str = ""
    client_id: str = ""
    user_id: str = ""
    after: str = ""

    def criteria(self, now: datetime) -> EventFilter:
        """The same as a filter of the trail."""
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
        """The query string of this view with some changes; a changed filter starts at the first page."""
        changed = replace(self, **({"after": ""} | changes))  # pyright: ignore[reportArgumentType] - templates name fields
        named = {name: getattr(changed, name) for name in FIELDS}
        return "?" + urlencode({name: value for name, value in named.items() if value})


FIELDS = ("language", "period", "event_type", "tool_name", "outcome", "client_id", "user_id", "after")


def parse_view(request: Request) -> View:
    """The view a request asks for; what makes no sense is left out, never an error."""
    given = {name: request.query_params.get(name, "")[:TEXT_LIMIT] for name in FIELDS[1:]}
    if given["period"] not in PERIODS:
        given["period"] = DEFAULT_PERIOD
    if given["outcome"] not in set(Outcome):
        given["outcome"] = ""
    return View(language=_language(request), **given)


def _language(request: Request) -> Language:
    """The asked-for language, also before a sign-in, else the first of the browser's that there is."""
    asked = request.query_params.get("language") or getattr(request.state, "language", "")
    browsers = (each.strip()[:2].lower() for each in request.headers.get("accept-language", "").split(","))
    return cast("Language", next((each for each in (asked, *browsers) if each in {"en", "ko"}), "en"))
