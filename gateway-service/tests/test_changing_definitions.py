"""Upstreams that change their definitions all the time: how often they are asked, and how much is recorded."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from upstream_servers import TEXT_RESULT, RawUpstream, json_response

from gateway_service.catalogue import change_events
from gateway_service.catalogue.change_events import ChangeEvents
from gateway_service.catalogue.definition_changes import ChangeKind, DefinitionChange
from gateway_service.catalogue.definitions import DefinitionKind
from gateway_service.catalogue.refresh import ChangePause

pytestmark = pytest.mark.anyio


def test_reports_of_changes_in_a_row_are_answered_later_and_later() -> None:
    pause = ChangePause(300)
    pauses: list[float] = []
    for _ in range(11):
        pauses.append(pause.seconds)
        pause.note(pause.seconds, is_reported=True)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    pause.note(300, is_reported=False)
    assert pause.seconds == 1


def test_a_report_after_a_calm_time_is_answered_soon() -> None:
    pause = ChangePause(300)
    for _ in range(4):
        pause.note(60, is_reported=True)
        assert pause.seconds == 1
    pause.note(1, is_reported=True)
    pause.note(3, is_reported=True)
    assert pause.seconds == 4


async def test_more_changes_than_are_recorded_in_an_hour_are_counted(
    start_gateway: Callable[..., Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_events, "MAX_EVENTS_PER_HOUR", 5)
    now = 7200.0

    async def respond(request: Any, writer: Any) -> None:
        writer.write(json_response(request, TEXT_RESULT))

    async with RawUpstream(respond) as upstream:
        gateway = await start_gateway({"crm": {"url": upstream.url}})
        events = ChangeEvents(gateway.journal, clock=lambda: now)
        changes = [
            DefinitionChange(
                kind=DefinitionKind.TOOL, name=f"t{number}", change_kind=ChangeKind.TEXT, members=("description",)
            )
            for number in range(8)
        ]
        await events.record("crm", changes)
        await events.record("crm", [])
        recorded = gateway.events("definition_change")
        assert [event.get("tool_name") for event in recorded] == [f"crm_t{number}" for number in range(5)] + [None] * 2
        assert [event["reason"].split(",")[0] for event in recorded[5:]] == [
            "crm: 3 further differences",
            "crm: 8 further differences",
        ]
        now += 3600
        await events.record("crm", changes[:1])
        assert gateway.events("definition_change")[-1]["tool_name"] == "crm_t0"
