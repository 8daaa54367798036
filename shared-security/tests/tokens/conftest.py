"""A clock that a test advances, and an issuer and a verifier that use it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from local_stack.loopback_issuer import LoopbackIssuer
from security_common.tokens import TokenVerifier, TrustedIssuer

MAX_RANDOM = 1.0


class Clock:
    """Seconds since the epoch, which change only with `advance`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self._asleep = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[waking] = self.now + seconds
        self._asleep.set()
        await waking

    async def asleep(self) -> None:
        """Waits until the background tasks have nothing to do."""
        while not self._sleepers:
            self._asleep.clear()
            await self._asleep.wait()

    async def advance(self, seconds: float) -> None:
        """Advances the time and lets the background tasks do what has become due."""
        self.now += seconds
        due = [waking for waking, at in self._sleepers.items() if at <= self.now]
        for waking in due:
            del self._sleepers[waking]
            if not waking.cancelled():
                waking.set_result(None)
        await self.asleep()


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    # Loopback speaks plain HTTP: the machine's certificates need not be loaded.
    async with httpx2.AsyncClient(verify=False) as client:
        yield client


@pytest.fixture
async def issuer(clock: Clock) -> AsyncIterator[LoopbackIssuer]:
    async with LoopbackIssuer(now=clock) as issuer:
        yield issuer


@pytest.fixture
async def make_verifier(
    clock: Clock, http: httpx2.AsyncClient, issuer: LoopbackIssuer
) -> AsyncIterator[Callable[..., TokenVerifier]]:
    """A function that makes verifiers for this issuer, or for given ones; they are stopped at the end."""
    made: list[TokenVerifier] = []

    def make(*trusted: TrustedIssuer, fetch_deadline_seconds: float = 4.0) -> TokenVerifier:
        verifier = TokenVerifier(
            trusted or (TrustedIssuer(issuer.url, issuer.audience),),
            http=http,
            clock=clock,
            random_number=lambda: MAX_RANDOM,
            pause=clock.pause,
            fetch_deadline_seconds=fetch_deadline_seconds,
        )
        made.append(verifier)
        return verifier

    yield make
    for verifier in made:
        await verifier.stop()


@pytest.fixture
def verifier(make_verifier: Callable[..., TokenVerifier]) -> TokenVerifier:
    return make_verifier()
