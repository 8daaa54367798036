"""Whether a service can do its work: its checks by name, run on request."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["CHECK_SECONDS", "Readiness", "ReadinessCheck", "ReadinessResult"]

CHECK_SECONDS = 1.5
"""Less than the three seconds of container health checks. Kubernetes probes wait one second by default: set
timeoutSeconds: 2.
"""


@dataclass(frozen=True, slots=True)
class ReadinessResult:
    """The result of one check. A `required` one decides on readiness; `note` explains what to do."""

    ok: bool
    required: bool = True
    note: str = ""


ReadinessCheck: TypeAlias = Callable[[], ReadinessResult | Awaitable[ReadinessResult]]


class Readiness:
    """Runs the checks of a service by name, all at the same time. The check `process` fails while the service stops."""

    def __init__(
        self,
        checkers: Mapping[str, ReadinessCheck],
        *,
        further: Callable[[], Mapping[str, ReadinessCheck]] | None = None,
    ) -> None:
        """`further` returns the checks of parts that change while the service runs."""
        self._checkers = dict(checkers)
        self._further = further
        self._is_draining = False
        self._checks_of_all: Callable[[], Awaitable[dict[str, ReadinessResult]]] | None = None

    def start_draining(self) -> None:
        """Makes readiness fail while requests are still answered, so that load balancers stop sending them."""
        self._is_draining = True

    def combine_processes(self, checks_of_all: Callable[[], Awaitable[dict[str, ReadinessResult]]]) -> None:
        """Makes `checks` return the checks of all processes of the service, which `checks_of_all` collects."""
        self._checks_of_all = checks_of_all

    async def checks(self) -> dict[str, ReadinessResult]:
        """Every check of the service by name."""
        return await (self._checks_of_all or self.own_checks)()

    async def own_checks(self) -> dict[str, ReadinessResult]:
        """Every check of this process. One without a result in time counts as failed, also for readiness."""
        checkers = {**self._checkers, **(self._further() if self._further is not None else {})}
        results = await asyncio.gather(*(_run(checker) for checker in checkers.values()))
        process = ReadinessResult(not self._is_draining, note="the service is stopping" if self._is_draining else "")
        return {"process": process, **dict(zip(checkers, results, strict=True))}


async def _run(checker: ReadinessCheck) -> ReadinessResult:
    result = checker()
    if isinstance(result, ReadinessResult):
        return result
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await result
    except TimeoutError:
        return ReadinessResult(ok=False, note=f"no result after {CHECK_SECONDS:g} seconds")
