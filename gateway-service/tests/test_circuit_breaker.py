"""The circuit breaker of one upstream, with a clock of the test."""

import pytest

from gateway_service.upstreams.circuit_breaker import CircuitBreaker
from gateway_service.upstreams.errors import (
    UpstreamBusy,
    UpstreamFailure,
    UpstreamProtocolViolation,
    UpstreamTimeout,
    UpstreamUnavailable,
)

OUTAGE = UpstreamUnavailable("crm is unavailable")


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
    return CircuitBreaker("crm", max_in_flight=3, clock=clock)


def fail(breaker: CircuitBreaker, failure: UpstreamFailure = OUTAGE) -> UpstreamFailure:
    """What a call is answered with if the upstream fails in this way. It is `failure` itself if the call was made."""
    with pytest.raises(UpstreamFailure) as raised, breaker.call():
        raise failure
    return raised.value


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.call():
        pass


@pytest.mark.parametrize("failure", [OUTAGE, UpstreamTimeout("late")])
def test_five_outages_in_a_row_open_it(breaker: CircuitBreaker, failure: UpstreamFailure) -> None:
    assert [fail(breaker, failure) for _ in range(5)] == [failure] * 5
    refused = fail(breaker, failure)
    assert refused is not failure
    assert (refused.error, refused.hint) == ("upstream_unavailable", "try again in 10 seconds")


def test_an_answer_of_any_kind_begins_the_count_again(breaker: CircuitBreaker) -> None:
    answered = UpstreamProtocolViolation("not JSON")
    for _ in range(4):
        fail(breaker)
    assert fail(breaker, answered) is answered
    for _ in range(4):
        assert fail(breaker) is OUTAGE
    succeed(breaker)
    assert not breaker.is_open


def test_after_ten_seconds_one_call_tries_again(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(5):
        fail(breaker)
    clock.now += 10
    with breaker.call():
        assert fail(breaker) is not OUTAGE  # another call at the same time
    for _ in range(5):
        fail(breaker)
    clock.now += 10
    assert fail(breaker) is OUTAGE
    assert fail(breaker) is not OUTAGE  # open for ten seconds more
    clock.now += 10
    succeed(breaker)
    assert fail(breaker) is OUTAGE


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
