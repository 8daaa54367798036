"""Alerts as incidents: one for each burst, which the detection rules report again while it continues."""

from collections.abc import Iterable
from dataclasses import dataclass

from security_common.audit import RecordedEvent

__all__ = ["AlertIncident", "group_alerts"]


@dataclass(frozen=True, slots=True)
class AlertIncident:
    """One burst: its latest alert, which has the count so far, and the number of alerts about it."""

    latest: RecordedEvent
    alerts: int


def group_alerts(newest_first: Iterable[RecordedEvent]) -> list[AlertIncident]:
    """Returns the incidents, that with the latest alert first. Alerts of one burst have rule, group and beginning in
    common; those of older releases, which do not say when it began, are an incident each.
    """
    bursts: dict[tuple[object, ...], list[RecordedEvent]] = {}
    for event in newest_first:
        about = event.alert.get("about"), event.alert.get("name"), event.alert.get("since")
        key = (event.reason, *about) if event.alert.get("since") else (event.event_id,)
        bursts.setdefault(key, []).append(event)
    return [AlertIncident(latest=events[0], alerts=len(events)) for events in bursts.values()]
