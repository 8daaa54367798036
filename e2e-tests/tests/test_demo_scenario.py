"""Runs the steps of `make demo` as tests, over real sockets against real processes."""

import pytest

from local_stack.demo_scenario import STEPS, ServicesApi, StepResult, run_scenario


@pytest.fixture(scope="module")
def results_by_step(api: ServicesApi) -> dict[str, StepResult]:
    """The results of one run of the scenario. Later steps depend on earlier ones, so all run in order."""
    results = run_scenario(api.auth_url, api.mcp_url)
    return {step.__name__: result for step, result in zip(STEPS, results, strict=True)}


@pytest.mark.any_stack
@pytest.mark.parametrize("step", [step.__name__ for step in STEPS])
def test_step_passes(results_by_step: dict[str, StepResult], step: str) -> None:
    assert results_by_step[step].passed, results_by_step[step].detail


def test_a_failing_step_is_reported() -> None:
    """Every step fails and is reported if no service listens at the address."""
    results = list(run_scenario("http://127.0.0.1:1", "http://127.0.0.1:1"))
    assert len(results) == len(STEPS)
    assert not any(result.passed for result in results)
    assert all(result.detail for result in results)
