"""Recorded refusals are limited for each caller and in all, and the last one within a limit has its own reason."""

import pytest

from security_common.audit import Reason
from security_common.audit.refusal_limits import PER_CALLER, PER_MINUTE, RefusalLimits


@pytest.fixture
def clock():
    """The time in seconds, in a list so that a test can move it."""
    return [6_000.0]


@pytest.fixture
def limits(clock):
    return RefusalLimits(lambda: clock[0])


def test_each_caller_has_its_own_limit(limits):
    reasons = [limits.reason_to_record("192.0.2.1", "expired") for _ in range(PER_CALLER + 2)]
    assert reasons == ["expired"] * (PER_CALLER - 1) + [Reason.REST_OF_MINUTE_UNRECORDED, None, None]
    assert limits.reason_to_record("192.0.2.2", "expired") == "expired"


def test_all_callers_together_have_a_limit(limits):
    reasons = [limits.reason_to_record(f"2001:db8:{number:x}::1", "missing_token") for number in range(PER_MINUTE + 2)]
    assert reasons == ["missing_token"] * (PER_MINUTE - 1) + [Reason.REST_OF_MINUTE_UNRECORDED, None, None]


def test_refusals_over_the_limit_of_a_caller_do_not_count_for_the_others(limits):
    for _ in range(2 * PER_MINUTE):
        limits.reason_to_record("192.0.2.1", "expired")
    assert limits.reason_to_record("192.0.2.2", "expired") == "expired"


def test_the_limits_are_reset_every_minute(limits, clock):
    for number in range(PER_MINUTE + PER_CALLER):
        limits.reason_to_record(f"2001:db8:{number % 60:x}::1", "expired")
    assert limits.reason_to_record("2001:db8:0::1", "expired") is None
    clock[0] += 59.9
    assert limits.reason_to_record("2001:db8:0::1", "expired") is None
    clock[0] += 0.1
    assert limits.reason_to_record("2001:db8:0::1", "expired") == "expired"
