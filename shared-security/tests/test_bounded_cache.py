"""The cache never exceeds its limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security_common.bounded_cache import BoundedCache


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_entries_are_discarded_by_their_value(clock: Clock) -> None:
    cache = BoundedCache[str, int](clock=clock, max_entries=10, max_bytes=100)
    for number in range(6):
        cache.put(str(number), number, size_bytes=2, lifetime_seconds=60)
    cache.discard_where(lambda value: value % 2 == 0)
    assert [cache.get(str(number)) for number in range(6)] == [None, 1, None, 3, None, 5]
    assert (len(cache), cache.size_bytes) == (3, 6)


def test_an_entry_expires_after_its_lifetime(clock: Clock) -> None:
    cache = BoundedCache[str, str](clock=clock, max_entries=10, max_bytes=100)
    cache.put("a", "value", size_bytes=5, lifetime_seconds=60)
    clock.now += 59
    assert cache.get("a") == "value"
    clock.now += 1
    assert cache.get("a") is None
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_expired_entries_are_removed_without_being_requested(clock: Clock) -> None:
    cache = BoundedCache[int, str](clock=clock, max_entries=1000, max_bytes=10_000)
    for number in range(500):
        cache.put(number, "value", size_bytes=5, lifetime_seconds=60)
    clock.now += 61
    cache.put(-1, "value", size_bytes=5, lifetime_seconds=60)
    assert (len(cache), cache.size_bytes) == (1, 5)


def test_a_value_larger_than_the_cache_is_not_stored(clock: Clock) -> None:
    cache = BoundedCache[str, str](clock=clock, max_entries=10, max_bytes=100)
    cache.put("small", "value", size_bytes=5, lifetime_seconds=60)
    cache.put("large", "value", size_bytes=101, lifetime_seconds=60)
    assert cache.get("large") is None
    assert cache.get("small") == "value"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60), st.floats(0, 100), st.floats(0, 40))))
def test_the_limits_are_never_exceeded_and_sizes_are_counted(steps: list[tuple[int, int, float, float]]) -> None:
    clock = Clock()
    cache = BoundedCache[int, int](clock=clock, max_entries=8, max_bytes=100)
    for key, size_bytes, lifetime_seconds, pause_seconds in steps:
        cache.put(key, size_bytes, size_bytes=size_bytes, lifetime_seconds=lifetime_seconds)
        assert len(cache) <= 8
        assert cache.size_bytes <= 100
        clock.now += pause_seconds
    for key in range(21):
        cache.discard(key)
    assert (len(cache), cache.size_bytes) == (0, 0)
