"""Refusals fill no disk: so many for each caller, so many for all, and the last one says that there were more."""

import pytest

from security_common.audit import Reason
from security_common.audit.refusal_limits import PER_CALLER, PER_MINUTE, RefusalLimits


@pytest.fixture
def clock():
    """The time in seconds, in a list so that a test can move it."""
    return [6_000.0]


@pytest.fixture
def bounds(clock):
    return RefusalLimits(lambda: clock[0])


def test_a_caller_has_its_bound_and_others_have_theirs(bounds):
    told = [bounds.admit("192.0.2.1", "expired") for _ in range(PER_CALLER + 2)]
    assert told == ["expired"] * (PER_CALLER - 1) + [Reason.REST_OF_MINUTE_UNRECORDED, None, None]
    assert bounds.admit("192.0.2.2", "expired") == "expired"


def test_all_together_have_a_bound_too_however_many_they_are(bounds):
    told = [bounds.admit(f"2001:db8:{number:x}::1", "missing_token") for number in range(PER_MINUTE + 2)]
    assert told == ["missing_token"] * (PER_MINUTE - 1) + [Reason.REST_OF_MINUTE_UNRECORDED, None, None]


def test_what_is_over_a_callers_bound_takes_nothing_from_the_others(bounds):
    for _ in range(2 * PER_MINUTE):
        bounds.admit("192.0.2.1", "expired")
    assert bounds.admit("192.0.2.2", "expired") == "expired"


def test_the_next_minute_begins_anew(bounds, clock):
    for number in range(PER_MINUTE + PER_CALLER):
        bounds.admit(f"2001:db8:{number % 60:x}::1", "expired")
    assert bounds.admit("2001:db8:0::1", "expired") is None
    clock[0] += 59.9
    assert bounds.admit("2001:db8:0::1", "expired") is None
    clock[0] += 0.1
    assert bounds.admit("2001:db8:0::1", "expired") == "expired"
