"""The circuit breaker of one upstream, with a clock of the test."""

from contextlib import ExitStack

import pytest

from gateway_service.upstreams.circuit_breaker import CircuitBreaker
from gateway_service.upstreams.errors import (
    RequestNotServed,
    UpstreamBusy,
    UpstreamFailure,
    UpstreamProtocolViolation,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)

UNREACHABLE = UpstreamUnreachable("crm accepts no connection")
LOST = UpstreamUnavailable("crm has closed the connection")
LATE = UpstreamTimeout("late")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("crm", max_in_flight=3, trial_seconds=30, clock=clock)


def fail(breaker: CircuitBreaker, failure: UpstreamFailure = UNREACHABLE, owner: str = "kim") -> UpstreamFailure:
    """What a call is answered with if the upstream fails in this way. It is `failure` itself if the call was made."""
    with pytest.raises(UpstreamFailure) as raised, breaker.call(owner):
        raise failure
    return raised.value


def succeed(breaker: CircuitBreaker, owner: str = "kim") -> None:
    with breaker.call(owner):
        pass


def test_five_outages_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    assert [fail(breaker) for _ in range(5)] == [UNREACHABLE] * 5
    for owner in ("kim", "lee", ""):
        refused = fail(breaker, owner=owner)
        assert refused is not UNREACHABLE
        assert (refused.error, refused.hint) == ("upstream_unavailable", "try again in 10 seconds")
    assert breaker.is_open


@pytest.mark.parametrize("failure", [LOST, LATE])
def test_what_one_caller_can_cause_counts_for_this_caller_alone(
    breaker: CircuitBreaker, clock: Clock, failure: UpstreamFailure
) -> None:
    assert [fail(breaker, failure) for _ in range(5)] == [failure] * 5
    assert fail(breaker, failure) is not failure
    succeed(breaker, "lee")
    assert not breaker.is_open
    assert fail(breaker, failure) is not failure  # the answer to another caller does not help
    clock.now += 10
    succeed(breaker)
    assert fail(breaker, failure) is failure


def test_three_callers_without_an_answer_in_time_open_it_for_all(breaker: CircuitBreaker) -> None:
    for owner in ("kim", "lee"):
        fail(breaker, LATE, owner)
    succeed(breaker, "park")
    for owner in ("kim", "lee", "choi"):
        assert not breaker.is_open
        fail(breaker, LATE, owner)
    assert breaker.is_open
    assert fail(breaker, owner="park") is not UNREACHABLE


def test_an_answer_that_a_request_is_not_served_is_no_outage(breaker: CircuitBreaker) -> None:
    refused = RequestNotServed("crm answered 429")
    assert [fail(breaker, refused) for _ in range(20)] == [refused] * 20


def test_an_answer_of_any_kind_begins_the_count_again(breaker: CircuitBreaker) -> None:
    answered = UpstreamProtocolViolation("not JSON")
    for _ in range(4):
        fail(breaker)
    assert fail(breaker, answered) is answered
    for _ in range(4):
        assert fail(breaker) is UNREACHABLE
    succeed(breaker)
    assert not breaker.is_open


@pytest.mark.parametrize("failure", [UNREACHABLE, LOST])
def test_after_ten_seconds_one_call_tries_again(
    breaker: CircuitBreaker, clock: Clock, failure: UpstreamFailure
) -> None:
    for _ in range(5):
        fail(breaker, failure)
    clock.now += 10
    with breaker.call("kim"):
        assert fail(breaker, failure) is not failure  # another call at the same time
    for _ in range(5):
        fail(breaker, failure)
    clock.now += 10
    assert fail(breaker, failure) is failure
    assert fail(breaker, failure) is not failure  # open for ten seconds more
    clock.now += 10
    succeed(breaker)
    assert fail(breaker, failure) is failure


def test_a_trial_that_takes_long_does_not_keep_others_waiting(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(5):
        fail(breaker)
    clock.now += 10
    with breaker.call("kim"):
        clock.now += 30
        succeed(breaker, "lee")
        succeed(breaker, "lee")


def test_a_trial_that_is_cancelled_does_not_keep_the_next_one_from_beginning(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    for _ in range(5):
        fail(breaker)
    clock.now += 10
    with pytest.raises(KeyboardInterrupt), breaker.call():
        raise KeyboardInterrupt
    succeed(breaker)
    assert breaker.in_flight == 0


def test_more_calls_than_allowed_are_refused_and_do_not_count_as_outages(breaker: CircuitBreaker) -> None:
    with breaker.call(), breaker.call(), breaker.call():
        for _ in range(6):
            assert isinstance(fail(breaker), UpstreamBusy)
        assert breaker.in_flight == 3
    assert breaker.in_flight == 0
    succeed(breaker)


def test_one_caller_leaves_slots_for_others() -> None:
    breaker = CircuitBreaker("crm", max_in_flight=64, trial_seconds=30)
    with ExitStack() as calls:
        for _ in range(56):
            calls.enter_context(breaker.call("kim"))
        assert isinstance(fail(breaker), UpstreamBusy)
        for number in range(8):
            calls.enter_context(breaker.call(f"other-{number}"))
        assert isinstance(fail(breaker, owner="last"), UpstreamBusy)
    with ExitStack() as calls:
        for _ in range(56):
            calls.enter_context(breaker.call("kim"))


def test_the_outages_of_many_callers_do_not_fill_the_memory(breaker: CircuitBreaker) -> None:
    for number in range(1001):
        for _ in range(5):
            fail(breaker, LOST, str(number))
    succeed(breaker, "0")  # the oldest one is forgotten
    assert fail(breaker, LOST, "1") is not LOST
