"""Templates and texts into pages, in Korean and English."""

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

from mcp_resource_service.audit_page.charts import Chart
from mcp_resource_service.audit_page.trail_query import PERIODS, Language, View
from security_common.audit import Outcome, RecordedEvent
from security_common.audit.reading import Page, TrailState
from security_common.audit.reading.alerts import RULE_TITLES, describe_alert, is_alert
from security_common.errors import SecurityError

__all__ = ["Rendering"]

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    # Not no-referrer: a browser then sends its own forms with the origin `null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


# What one who is told of a failure may do next; who failed to sign in, begins again.
WAYS_ON = {400: "back", 404: "back", 503: "try_again"}


class Rendering:
    """The pages as HTML. Texts are data: a language is one member of texts.json."""

    def __init__(self, issuer: str, zone: ZoneInfo) -> None:
        # Signing out is a form here that ends at the issuer; a browser holds every address on the way to the policy.
        parts = urlsplit(issuer)
        self.headers = SECURITY_HEADERS | {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {parts.scheme}://{parts.netloc}"
        }
        package = "mcp_resource_service.audit_page"
        self._zone = zone
        self._texts: dict[str, dict[str, str]] = json.loads(
            files(package).joinpath("texts.json").read_text(encoding="utf-8")
        )
        for language, texts in self._texts.items():
            texts |= {f"reasons_{rule}": titles[cast("Language", language)] for rule, titles in RULE_TITLES.items()}
        self._event_types = tuple(
            name.removeprefix("events_") for name in self._texts["en"] if name.startswith("events_")
        )
        self._templates = Environment(
            loader=PackageLoader(package),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def overview(
        self, view: View, *, charts: Sequence[Chart], truncated: bool, page: Page, state: TrailState, writable: bool
    ) -> HTMLResponse:
        """Charts, filters, the table and the state of the trail."""
        return self._render(
            "overview.html",
            view,
            charts=charts,
            truncated=truncated,
            page=page,
            state=state,
            sound=writable and state.sound,
            periods=tuple(PERIODS),
            outcomes=tuple(map(str, Outcome)),
            event_types=self._event_types,
        )

    def event(self, view: View, event: RecordedEvent) -> HTMLResponse:
        """One event with everything that is recorded about it."""
        members = {"timestamp": None} | asdict(event) | {"timestamp": event.timestamp.astimezone(self._zone)}
        return self._render("event.html", view, event=event, members=members)

    def _alert_text(self, event: RecordedEvent, language: Language) -> str:
        """What set an alert off, in the reader's language and time zone."""
        since = event.alert.get("since")
        shown = f"{datetime.fromisoformat(str(since)).astimezone(self._zone):%m-%d %H:%M:%S}" if since else None
        return describe_alert(event, language, since=shown)

    def message(self, view: View, key: str, *, status: int) -> HTMLResponse:
        """One sentence of the texts."""
        return self._message(view, self._texts[view.language][key], "", status=status)

    def problem(self, view: View, problem: SecurityError, *, status: int) -> HTMLResponse:
        """An error: its sentence in the reader's language where there is one, with what to do."""
        texts = self._texts[view.language]
        message = texts.get(f"error_{problem.error}", problem.description)
        hint = texts.get(f"hint_{problem.error}", problem.hint)
        way_on = "other_account" if problem.error == "insufficient_scope" else ""
        return self._message(view, message, hint, status=status, way_on=way_on)

    def _message(self, view: View, message: str, hint: str, *, status: int, way_on: str = "") -> HTMLResponse:
        way_on = way_on or WAYS_ON.get(status, "sign_in_again")
        return self._render("message.html", view, status=status, message=message, hint=hint, way_on=way_on)

    def _render(self, name: str, view: View, *, status: int = 200, **values: Any) -> HTMLResponse:
        template = self._templates.get_template(name)
        html = template.render(
            t=self._texts[view.language],
            view=view,
            zone=self._zone,
            outcome_of=_outcome_of,
            alert_text=self._alert_text,
            **values,
        )
        return HTMLResponse(html, status_code=status, headers=self.headers | {"Content-Language": view.language})


def _outcome_of(event: RecordedEvent) -> Outcome:
    """An alert is shown as one, also where an older release recorded it as a success."""
    return Outcome.ALERT if is_alert(event) else event.outcome
