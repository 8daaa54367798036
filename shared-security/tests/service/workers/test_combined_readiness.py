"""The readiness of all workers in one answer."""

import pytest

from security_common.service.readiness import ReadinessResult
from security_common.service.workers.combined_readiness import combine_checks

GOOD = ReadinessResult(ok=True)
FULL = ReadinessResult(ok=False, note="the disk is full")
NOTED = ReadinessResult(ok=True, note="Redis is slow")
OPTIONAL = ReadinessResult(ok=False, required=False, note="no Redis")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({0: GOOD, 1: GOOD}, GOOD),
        ({0: GOOD, 1: FULL}, ReadinessResult(ok=False, note="worker 1: the disk is full")),
        ({0: FULL, 1: FULL}, FULL),
        ({0: NOTED, 1: NOTED}, NOTED),
        ({0: GOOD, 1: NOTED}, ReadinessResult(ok=True, note="worker 1: Redis is slow")),
        ({0: OPTIONAL, 2: GOOD}, ReadinessResult(ok=False, required=False, note="worker 0: no Redis")),
        ({0: OPTIONAL, 1: FULL}, ReadinessResult(ok=False, note="worker 0: no Redis")),
    ],
)
def test_a_check_fails_if_it_fails_in_one_worker(results, expected):
    by_worker = {number: {"journal": result} for number, result in results.items()}
    assert combine_checks(by_worker, expected=2, is_starting=False)["journal"] == expected


@pytest.mark.parametrize(
    ("by_worker", "is_starting", "expected"),
    [
        ({0: {}, 1: {}}, False, GOOD),
        ({1: {}}, False, ReadinessResult(ok=False, required=False, note="1 of 2 workers run")),
        ({1: {}}, True, ReadinessResult(ok=False, note="1 of 2 workers run")),
        ({0: {}, 1: None}, False, ReadinessResult(ok=False, note="worker 1 does not answer")),
        ({0: {}, 1: {}, 2: {}}, False, GOOD),
    ],
    ids=["all", "one is being restarted", "while the service starts", "one hangs", "while they are replaced"],
)
def test_the_number_of_workers_is_a_check(by_worker, is_starting, expected):
    assert combine_checks(by_worker, expected=2, is_starting=is_starting)["workers"] == expected
