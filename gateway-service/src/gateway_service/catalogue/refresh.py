"""Keeps the definitions of the upstreams fresh, in the background."""

import asyncio
import random
from collections.abc import Sequence

import structlog

from gateway_service.catalogue.catalogue import Catalogue
from gateway_service.upstreams import Upstream
from security_common.errors import SecurityError
from security_common.task_cancellation import cancel_tasks

__all__ = ["CatalogueRefresh"]

FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
JITTER = 0.1

log = structlog.get_logger("gateway_service")


class CatalogueRefresh:
    """One task for each upstream: soon again while it does not answer, and every few minutes otherwise."""

    def __init__(self, catalogue: Catalogue, upstreams: Sequence[Upstream], *, interval_seconds: float) -> None:
        self._catalogue = catalogue
        self._upstreams = upstreams
        self._interval_seconds = interval_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self.problems: dict[str, SecurityError] = {}
        """What the last attempt failed with, by upstream."""

    def start(self) -> None:
        """Starts the tasks; returns at once, so that the gateway starts without its upstreams."""
        self._tasks = [
            asyncio.create_task(self._keep_fresh(upstream), name=f"refresh-{upstream.name}")
            for upstream in self._upstreams
        ]

    async def stop(self) -> None:
        """Ends the tasks."""
        tasks, self._tasks = self._tasks, []
        await cancel_tasks(*tasks)

    async def refresh(self, upstream: Upstream) -> None:
        """Asks for the definitions now. Raises `SecurityError`; what was known before stays then."""
        try:
            await upstream.probe()
            definitions = await upstream.list_tools()
        except SecurityError as failure:
            self._note(upstream, failure)
            raise
        earlier = self._catalogue.findings(upstream.name)
        self._catalogue.update(upstream.name, definitions)
        findings = self._catalogue.findings(upstream.name)
        if findings != earlier:
            log.warning("upstream_tools_left_out", upstream=upstream.name, findings=list(findings))
        self._note(upstream, None)

    def _note(self, upstream: Upstream, problem: SecurityError | None) -> None:
        """Logs when the result changes."""
        earlier = self.problems.pop(upstream.name, None)
        if problem is not None:
            self.problems[upstream.name] = problem
            if earlier is None or earlier.error != problem.error:
                log.warning("upstream_not_listed", upstream=upstream.name, cause=str(problem))
        elif earlier is not None or not self._catalogue.is_described(upstream.name):
            log.info("upstream_listed", upstream=upstream.name)

    async def _keep_fresh(self, upstream: Upstream) -> None:
        retry_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                await self.refresh(upstream)
                pause_seconds, retry_seconds = self._interval_seconds, FIRST_RETRY_SECONDS
            except SecurityError:
                pause_seconds = retry_seconds
                retry_seconds = min(2 * retry_seconds, MAX_RETRY_SECONDS)
            except Exception as failure:  # a defect must not end the refresh of this upstream
                log.exception("refresh_failed", upstream=upstream.name, cause=type(failure).__name__)
                pause_seconds = MAX_RETRY_SECONDS
            await asyncio.sleep(pause_seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
