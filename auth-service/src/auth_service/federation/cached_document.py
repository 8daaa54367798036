"""A document of an identity provider that is fetched again when it is too old: its metadata, its keys."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.protocol import Clock

__all__ = ["FRESH_SECONDS", "CachedDocument"]

FRESH_SECONDS = 3600.0
_LAST_SECONDS = 86400.0
_RETRY_SECONDS = 5.0

Content = TypeVar("Content")

log = structlog.get_logger(__name__)


class CachedDocument(Generic[Content]):
    """The content of the document. Concurrent requests fetch it once, and a failure is repeated for five seconds.

    While the provider does not answer, the last content is used for a day: a short fault of one address must not end
    all sign-ins. `fetched_at_seconds` is since the epoch.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Content]], *, provider_id: str, name: str, clock: Clock) -> None:
        self._fetch = fetch
        self._provider_id = provider_id
        self._name = name
        self._clock = clock
        self._lock = asyncio.Lock()
        self._content: Content | None = None
        self.fetched_at_seconds = 0.0
        self._failure: ProviderFailure | None = None
        self._failed_at_seconds = 0.0

    async def read(self, *, max_age_seconds: float = FRESH_SECONDS) -> Content:
        """The content, at most this old, or the last one. Raises `ProviderFailure` if there is none."""
        async with self._lock:
            if self._content is not None and self._clock() - self.fetched_at_seconds < max_age_seconds:
                return self._content
            if self._failure is not None and self._clock() - self._failed_at_seconds < _RETRY_SECONDS:
                return self._last_content(self._failure)
            try:
                self._content = await self._fetch()
            except ProviderFailure as failure:
                self._failure, self._failed_at_seconds = failure, self._clock()
                log.warning(
                    "identity_provider_unusable",
                    provider=self._provider_id,
                    document=self._name,
                    problem=failure.problem,
                    cause=failure.description,
                    hint=failure.hint,
                )
                return self._last_content(failure)
            self.fetched_at_seconds, self._failure = self._clock(), None
            return self._content

    def _last_content(self, failure: ProviderFailure) -> Content:
        """The content that was fetched before, unless the provider answered with something that must not be used."""
        is_too_old = self._clock() - self.fetched_at_seconds >= _LAST_SECONDS
        if self._content is None or is_too_old or failure.problem is ProviderProblem.MISCONFIGURED:
            raise failure
        return self._content
