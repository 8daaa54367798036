"""The metadata and keys of an identity provider: how long they are used, and what happens during a fault."""

import asyncio
from dataclasses import dataclass, field

import pytest

from auth_service.federation.cached_document import FRESH_SECONDS, CachedDocument
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.federation.provider_http import unexpected_status

DAY = 86400.0


@dataclass
class Source:
    """Answers with the number of the request, or fails with `problem`."""

    now: float = 1_000_000.0
    requests: int = 0
    problem: ProviderProblem | None = None
    document: CachedDocument[int] = field(init=False)

    def __post_init__(self) -> None:
        self.document = CachedDocument(self.fetch, provider_id="company", name="keys", clock=lambda: self.now)

    async def fetch(self) -> int:
        self.requests += 1
        await asyncio.sleep(0)
        if self.problem is not None:
            raise ProviderFailure(self.problem, "a fault")
        return self.requests

    def read(self, **changes: float) -> int:
        return asyncio.run(self.document.read(**changes))


def test_a_document_is_fetched_again_when_it_is_too_old() -> None:
    source = Source()
    assert [source.read(), source.read()] == [1, 1]
    source.now += 30
    assert source.read(max_age_seconds=30) == 2
    source.now += FRESH_SECONDS
    assert source.read() == 3


def test_concurrent_requests_fetch_it_once() -> None:
    source = Source()

    async def read_at_once() -> list[int]:
        return await asyncio.gather(*(source.document.read() for _ in range(5)))

    assert asyncio.run(read_at_once()) == [1] * 5


def test_the_last_content_is_used_for_a_day_while_the_provider_does_not_answer() -> None:
    source = Source()
    source.read()
    source.problem = ProviderProblem.UNREACHABLE
    source.now += FRESH_SECONDS
    assert [source.read(), source.read()] == [1, 1]
    assert source.requests == 2, "a failure is repeated for five seconds"
    source.now += 6
    assert (source.read(), source.requests) == (1, 3)
    source.now += DAY
    with pytest.raises(ProviderFailure):
        source.read()


@pytest.mark.parametrize(
    ("has_content", "problem"), [(False, ProviderProblem.UNREACHABLE), (True, ProviderProblem.MISCONFIGURED)]
)
def test_without_content_or_with_another_issuer_the_failure_is_raised(
    has_content: bool, problem: ProviderProblem
) -> None:
    source = Source(problem=None if has_content else problem)
    if has_content:
        source.read()
    source.problem = problem
    source.now += FRESH_SECONDS
    for _ in range(2):
        with pytest.raises(ProviderFailure) as failure:
            source.read()
        assert failure.value.problem is problem


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (500, ProviderProblem.UNREACHABLE),
        (429, ProviderProblem.UNREACHABLE),
        (404, ProviderProblem.BAD_RESPONSE),
        (307, ProviderProblem.BAD_RESPONSE),
    ],
)
def test_a_provider_that_limits_requests_is_unreachable(status: int, problem: ProviderProblem) -> None:
    assert unexpected_status("https://sso.example.com/keys", status).problem is problem
