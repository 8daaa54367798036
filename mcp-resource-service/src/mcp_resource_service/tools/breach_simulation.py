"""The tool that runs attack scenarios through the detection rules of the audit trail."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastmcp import Context, FastMCP
from pydantic import Field
from typing_extensions import TypedDict

from mcp_resource_service.scopes import ACCESS_SCOPE
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
    """An alert of one rule: `value` events reached `threshold` within `window_seconds`."""

    rule: str
    title: str
    value: int
    threshold: int
    window_seconds: float


class ScenarioResult(TypedDict):
    """One scenario and the alerts that the rules raised."""

    scenario: str
    what_happens: str
    events: int
    alerts: list[AlertInfo]
    detected: bool


class BreachSimulation(TypedDict):
    """The results of all scenarios that were run."""

    played: list[ScenarioResult]


def register(mcp: FastMCP, settings: SecuritySettings, clock: Callable[[], float]) -> None:
    """Adds `simulate_data_breach_detection`; `clock` returns seconds since the epoch."""

    @mcp.tool(
        title="Breach simulation · 유출 탐지 모의 훈련",
        annotations={"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False},
    )
    @secure_tool(pii_policy="mask", scopes=[ACCESS_SCOPE])
    async def simulate_data_breach_detection(
        context: Context,
        scenario: Annotated[
            Scenario | Literal["all"],
            Field(description="Scenario to run; `quiet_day` is normal work without an attack. 재현할 시나리오."),
        ] = "bulk_export",
    ) -> BreachSimulation:
        """Run an attack scenario with invented events through the detection rules and the configured thresholds.

        Nothing is recorded and no alert is sent. Returns the alerts that the rules would raise.
        공격 시나리오를 실제 탐지 규칙에 적용해 봅니다. 기록이나 경보는 남지 않습니다.
        """
        names = list(SCENARIOS) if scenario == "all" else [scenario]
        now = datetime.fromtimestamp(clock(), UTC)
        results: list[ScenarioResult] = []
        for finished, name in enumerate(names):
            await context.report_progress(finished, len(names), name)
            results.append(_run_scenario(name, settings, now))
        return {"played": results}


def _run_scenario(name: str, settings: SecuritySettings, now: datetime) -> ScenarioResult:
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
