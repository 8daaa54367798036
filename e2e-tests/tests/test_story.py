"""The story, step by step, over real sockets against real processes. The steps are those of `make demo`."""

import pytest

from local_stack.story import STEPS, StepResult, World, run_scenario


@pytest.fixture(scope="module")
def told(world: World) -> dict[str, StepResult]:
    """The whole story once, in its order: later steps build on earlier ones."""
    results = run_scenario(world.auth_url, world.mcp_url)
    return {step.__name__: result for step, result in zip(STEPS, results, strict=True)}


@pytest.mark.story
@pytest.mark.parametrize("step", [step.__name__ for step in STEPS])
def test_step_holds(told: dict[str, StepResult], step: str) -> None:
    assert told[step].passed, told[step].detail


def test_the_story_says_what_does_not_hold() -> None:
    """Against an address where nothing listens, every step fails and says so: the story can fail."""
    results = list(run_scenario("http://127.0.0.1:1", "http://127.0.0.1:1"))
    assert len(results) == len(STEPS)
    assert not any(result.passed for result in results)
    assert all(result.detail for result in results)
