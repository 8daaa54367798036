"""The readiness of a service with several processes: the checks of all workers, and one of their number."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from security_common.service.readiness import ReadinessResult

__all__ = ["combine_checks"]

Checks = Mapping[str, ReadinessResult]


def combine_checks(
    by_worker: Mapping[int, Checks | None], *, expected: int, is_starting: bool
) -> dict[str, ReadinessResult]:
    """One result for each check, which fails if it fails in a worker, and the check `workers`.

    `by_worker` has the workers that accept connections; None in place of the checks of one that has not answered. Fewer
    of them than `expected` are required only while the service starts: later the others answer in their place. One that
    does not answer is required: it is given connections, and their requests would wait.
    """
    answered = {number: checks for number, checks in by_worker.items() if checks is not None}
    names = list(dict.fromkeys(name for checks in answered.values() for name in checks))
    combined = {
        name: _combine({number: checks[name] for number, checks in answered.items() if name in checks})
        for name in names
    }
    silent = [number for number in by_worker if number not in answered]
    combined["workers"] = _check_workers(len(by_worker), silent, expected=expected, is_starting=is_starting)
    return combined


def _combine(results: Mapping[int, ReadinessResult]) -> ReadinessResult:
    """The result of one check in all workers. A note names the worker, unless it is the same in each of them."""
    failed = {number: result for number, result in results.items() if not result.ok}
    described = failed or results
    required = any(result.required for result in described.values())
    notes = {number: result.note for number, result in described.items() if result.note}
    note = ""
    if notes:
        number, note = next(iter(notes.items()))
        is_shared = len(notes) == len(results) and len(set(notes.values())) == 1
        note = note if is_shared else f"worker {number}: {note}"
    return replace(next(iter(described.values())), required=required, note=note)


def _check_workers(running: int, silent: Sequence[int], *, expected: int, is_starting: bool) -> ReadinessResult:
    if silent:
        return ReadinessResult(ok=False, note=f"worker {silent[0]} does not answer")
    if running < expected:
        return ReadinessResult(ok=False, required=is_starting, note=f"{running} of {expected} workers run")
    return ReadinessResult(ok=True)
