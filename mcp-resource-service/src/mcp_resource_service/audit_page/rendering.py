"""The pages as HTML, from templates and texts in Korean and English."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from mcp_resource_service.audit_page.alert_incidents import AlertIncident
from mcp_resource_service.audit_page.charts import Chart
from mcp_resource_service.audit_page.trail_query import PERIODS, Language, TrailQuery, recent_months, whole_seconds
from security_common.audit import EventType, Outcome, RecordedEvent
from security_common.audit.reading import Page, TrailState
from security_common.audit.reading.access_review import AccessReview
from security_common.audit.reading.alerts import RULE_TITLES, describe_alert, is_alert
from security_common.errors import SecurityError

__all__ = ["Rendering"]

PACKAGE = "mcp_resource_service.audit_page"
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    # Not no-referrer: with it, browsers send the page's own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

# The link on an error page by status. After any other status the link leads to a new sign-in.
LINKS_BY_STATUS = {400: "back", 404: "back", 405: "back", 500: "try_again", 503: "try_again"}


class Rendering:
    """Renders the pages. texts.json contains the texts of each language."""

    def __init__(self, issuer: str, zone: ZoneInfo) -> None:
        issuer_parts = urlsplit(issuer)
        self.headers = SECURITY_HEADERS | {
            # The sign-out form redirects to the issuer, and form-action applies to every URL of the redirects.
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {issuer_parts.scheme}://{issuer_parts.netloc}"
        }
        self._zone = zone
        self._texts = _read_texts()
        self._templates = Environment(
            loader=PackageLoader(PACKAGE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def overview(
        self,
        query: TrailQuery,
        *,
        charts: Sequence[Chart],
        incidents: Sequence[AlertIncident],
        page: Page,
        total: int,
        state: TrailState,
        writable: bool,
        now: datetime,
    ) -> HTMLResponse:
        """Renders alerts, filters, charts, the table of events (`total` match), and the state of the trail."""
        return self._render(
            "overview.html",
            query,
            charts=charts,
            incidents=incidents,
            page=page,
            total=total,
            state=state,
            sound=writable and state.intact,
            periods=tuple(PERIODS),
            months=recent_months(now, self._zone),
            outcomes=tuple(map(str, Outcome)),
            event_types=tuple(map(str, EventType)),
        )

    def review(self, query: TrailQuery, review: AccessReview, *, months: Sequence[str]) -> HTMLResponse:
        """Renders the review of access records of a month, to be printed and signed."""
        users = sorted(review.users.items(), key=lambda item: (-item[1].accesses, item[0]))
        begins = review.begins if review.begins is not None and review.begins > review.month.since else None
        return self._render(
            "review.html",
            query,
            review=review,
            users=users,
            unusual=sum(user.unusual_hours for _, user in users),
            begins=begins,
            months=months,
        )

    def event(self, query: TrailQuery, event: RecordedEvent) -> HTMLResponse:
        """Renders one event with all its members, the time first."""
        members: dict[str, Any] = {"timestamp": event.timestamp.astimezone(self._zone)}
        for name, value in asdict(event).items():
            members.setdefault(name, value)
        return self._render("event.html", query, event=event, members=members)

    def message(self, query: TrailQuery, key: str, *, status: int) -> HTMLResponse:
        """Renders a page with one text of texts.json."""
        return self._message(query, self._texts[query.language][key], "", status=status)

    def problem(self, query: TrailQuery, problem: SecurityError, *, status: int) -> HTMLResponse:
        """Renders an error with its hint, in the language of the page if texts.json has them."""
        texts = self._texts[query.language]
        message = texts.get(f"error_{problem.error}", problem.description)
        hint = texts.get(f"hint_{problem.error}", problem.hint)
        link = "other_account" if problem.error == "insufficient_scope" else ""
        return self._message(query, message, hint, status=status, link=link)

    def _message(self, query: TrailQuery, message: str, hint: str, *, status: int, link: str = "") -> HTMLResponse:
        link = link or LINKS_BY_STATUS.get(status, "sign_in_again")
        return self._render("message.html", query, status=status, message=message, hint=hint, link=link)

    def _render(self, name: str, query: TrailQuery, *, status: int = 200, **values: Any) -> HTMLResponse:
        html = self._templates.get_template(name).render(
            t=self._texts[query.language],
            query=query,
            zone=self._zone,
            outcome_of=_outcome_of,
            alert_text=self._alert_text,
            whole_seconds=whole_seconds,
            **values,
        )
        return HTMLResponse(html, status_code=status, headers=self.headers | {"Content-Language": query.language})

    def _alert_text(self, event: RecordedEvent, language: Language) -> str:
        """Returns the cause of an alert in the language and time zone of the page."""
        since = event.alert.get("since")
        if not since:
            return describe_alert(event, language, since=None)
        began_at = datetime.fromisoformat(str(since)).astimezone(self._zone)
        return describe_alert(event, language, since=f"{began_at:%m-%d %H:%M:%S}")


def _read_texts() -> dict[str, dict[str, str]]:
    """Returns the texts by language and key, with the titles of the detection rules as reasons."""
    texts_by_language: dict[str, dict[str, str]] = json.loads(
        files(PACKAGE).joinpath("texts.json").read_text(encoding="utf-8")
    )
    for language, texts in texts_by_language.items():
        for rule, titles in RULE_TITLES.items():
            texts[f"reasons_{rule}"] = titles[cast("Language", language)]
    return texts_by_language


def _outcome_of(event: RecordedEvent) -> Outcome:
    """Returns the outcome; alert for every alert, even where an older release recorded it as a success."""
    return Outcome.ALERT if is_alert(event) else event.outcome
