"""The story, step by step, over real sockets against real processes. The steps are those of `make demo`."""

from collections.abc import Callable

import pytest

from local_stack.story import STEPS, World, tell_story


@pytest.mark.parametrize("step", [step for step in STEPS if step.__name__ != "asks_for_more_scope"])
def test_step(step: Callable[[World], None], world: World) -> None:
    step(world)


def test_the_story_told_in_order_holds(world: World) -> None:
    failed = [result for result in tell_story(world.auth_url, world.mcp_url) if not result.held]
    assert failed == []


def test_the_story_says_what_does_not_hold(world: World) -> None:
    """Against an address where nothing listens, every step fails and says so: the story can fail."""
    results = list(tell_story("http://127.0.0.1:1", "http://127.0.0.1:1"))
    assert len(results) == len(STEPS)
    assert not any(result.held for result in results)
    assert all(result.detail for result in results)
