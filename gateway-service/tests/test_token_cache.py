"""Tokens are kept until shortly before they expire, in bounded memory, and requested once for all who wait."""

import asyncio

import pytest

from gateway_service.credentials import CredentialUnavailable, token_cache
from gateway_service.credentials.token_cache import TokenCache
from gateway_service.credentials.token_client import IssuedToken

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Issues numbered tokens, and waits with a response until it may answer."""

    def __init__(self, lifetime_seconds: float = 300.0) -> None:
        self.lifetime_seconds = lifetime_seconds
        self.requests = 0
        self.failure: Exception | None = None
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def request(self) -> IssuedToken:
        self.requests += 1
        self.was_asked.set()
        number = self.requests
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return IssuedToken(f"token-{number}", self.lifetime_seconds)


@pytest.mark.parametrize(("lifetime_seconds", "used_seconds"), [(300, 240), (1800, 1740), (120, 60), (60, 30), (2, 1)])
async def test_a_token_is_used_until_a_minute_before_its_expiry_or_half_its_lifetime(
    lifetime_seconds: float, used_seconds: float
) -> None:
    clock, issuer = Clock(), Issuer(lifetime_seconds)
    cache = TokenCache[str](clock=clock)
    assert await cache.get("a", issuer.request) == "token-1"
    clock.now += used_seconds - 0.001
    assert await cache.get("a", issuer.request) == "token-1"
    clock.now += 0.001
    assert await cache.get("a", issuer.request) == "token-2"


async def test_keys_have_tokens_of_their_own() -> None:
    cache, issuer = TokenCache[str](), Issuer()
    tokens = [await cache.get(key, issuer.request) for key in ("a", "b", "a", "b")]
    assert tokens == ["token-1", "token-2", "token-1", "token-2"]


async def test_calls_at_the_same_time_wait_for_one_request() -> None:
    cache, issuer = TokenCache[str](), Issuer()
    issuer.may_answer.clear()
    waiting = [asyncio.create_task(cache.get("a", issuer.request)) for _ in range(50)]
    await issuer.was_asked.wait()
    issuer.may_answer.set()
    assert set(await asyncio.gather(*waiting)) == {"token-1"}
    assert issuer.requests == 1


async def test_a_caller_that_is_cancelled_does_not_end_the_request_of_the_others() -> None:
    cache, issuer = TokenCache[str](), Issuer()
    issuer.may_answer.clear()
    first = asyncio.create_task(cache.get("a", issuer.request))
    await issuer.was_asked.wait()
    second = asyncio.create_task(cache.get("a", issuer.request))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    issuer.may_answer.set()
    assert await second == "token-1"


async def test_a_failure_reaches_everyone_who_waits_and_is_not_kept() -> None:
    cache, issuer = TokenCache[str](), Issuer()
    issuer.failure = CredentialUnavailable("no token")
    failures = await asyncio.gather(*(cache.get("a", issuer.request) for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [CredentialUnavailable] * 3
    assert issuer.requests == 1
    issuer.failure = None
    assert await cache.get("a", issuer.request) == "token-2"


async def test_only_the_refused_token_is_removed() -> None:
    cache, issuer = TokenCache[str](), Issuer()
    old = await cache.get("a", issuer.request)
    assert cache.discard("a", old)
    new = await cache.get("a", issuer.request)
    assert cache.discard("a", old)
    assert await cache.get("a", issuer.request) == new


async def test_a_token_is_kept_for_a_while_if_the_one_before_was_refused_too() -> None:
    now = 1000.0
    cache, issuer = TokenCache[str](clock=lambda: now), Issuer()
    cache.discard("a", await cache.get("a", issuer.request))
    second = await cache.get("a", issuer.request)
    assert not cache.discard("a", second)
    assert await cache.get("a", issuer.request) == second
    now += 30
    assert cache.discard("a", second)
    assert await cache.get("a", issuer.request) != second


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "MAX_TOKENS", 10)
    cache, issuer = TokenCache[int](), Issuer()
    for number in range(100):
        await cache.get(number, issuer.request)
    assert len(cache) == 10


async def test_closing_ends_a_request() -> None:
    cache, issuer = TokenCache[str](), Issuer()
    issuer.may_answer.clear()
    waiting = asyncio.create_task(cache.get("a", issuer.request))
    await issuer.was_asked.wait()
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
