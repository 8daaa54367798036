"""Playing an attack through the rules that watch the live trail."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastmcp import Context, FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from security_common.audit.reading import SCENARIOS, run_scenario
from security_common.settings import SecuritySettings
from security_common.tool_policy import secure_tool

__all__ = ["register"]

Scenario = Literal[
    "quiet_day",
    "stolen_refresh_token",
    "secret_guessing",
    "refusal_burst",
    "tool_enumeration",
    "bulk_export",
    "journal_gap",
]


class AlertInfo(TypedDict):
    """What a rule said: `value` reached `threshold` within `window_seconds`."""

    rule: str
    title: str
    value: int
    threshold: int
    window_seconds: float


class PlayedScenario(TypedDict):
    """One scenario and the rules' verdict on it."""

    scenario: str
    what_happens: str
    events: int
    alerts: list[AlertInfo]
    detected: bool


class Drill(TypedDict):
    """Every scenario played."""

    played: list[PlayedScenario]


def register(mcp: FastMCP, settings: SecuritySettings, clock: Callable[[], float]) -> None:
    """Adds `simulate_data_breach_detection`; `clock` gives seconds since the epoch."""

    @mcp.tool(
        title="Breach drill · 유출 탐지 모의 훈련",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask")
    async def simulate_data_breach_detection(
        context: Context,
        scenario: Annotated[
            Scenario | Literal["all"],
            Field(description="Which attack to play; `quiet_day` is ordinary work. 재현할 시나리오."),
        ] = "bulk_export",
    ) -> Drill:
        """Play an attack as made-up events through the detection rules, with the thresholds in force.

        Nothing is recorded and nobody is alarmed: it shows what would be.
        공격 시나리오를 실제 탐지 규칙에 적용해 봅니다. 기록이나 경보는 남지 않습니다.
        """
        names = list(SCENARIOS) if scenario == "all" else [scenario]
        now = datetime.fromtimestamp(clock(), UTC)
        played: list[PlayedScenario] = []
        for done, name in enumerate(names):
            await context.report_progress(done, len(names), name)
            played.append(_play(name, settings, now))
        return {"played": played}


def _play(name: str, settings: SecuritySettings, now: datetime) -> PlayedScenario:
    outcome = run_scenario(name, settings, now=now)
    return {
        "scenario": name,
        "what_happens": SCENARIOS[name].__doc__ or "",
        "events": outcome.events,
        "alerts": [
            {
                "rule": alert.rule,
                "title": alert.title,
                "value": alert.value,
                "threshold": alert.threshold.count,
                "window_seconds": alert.threshold.seconds,
            }
            for alert in outcome.alerts
        ],
        "detected": bool(outcome.alerts),
    }
