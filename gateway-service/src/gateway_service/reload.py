"""Applies a changed gateway.yaml or gateway.lock while the gateway runs.

file changed, or SIGHUP ─▶ both files are read and checked ─▶ everything is replaced at once ─▶ audit event
└ a problem: nothing is replaced, and /readyz reports it
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from gateway_service.catalogue.lock_file import Lock, LockInvalid
from gateway_service.catalogue.lock_signatures import load_lock
from gateway_service.declaration import GatewayDeclaration, load_declaration
from gateway_service.generation import Generation, GenerationMaker, wait_until_unused
from gateway_service.upstreams import Upstream
from security_common.audit import Action, AuditEvent, EventType, Journal, JournalUnavailable, Outcome
from security_common.errors import SecurityError, describe
from security_common.task_cancellation import cancel_tasks

__all__ = ["Reloader"]

CHECK_SECONDS = 2.0
SHOWN_DIGITS = 16

log = structlog.get_logger("gateway_service")

FileState = tuple[int, int, int] | None


class Reloader:
    """Has the current generation, and replaces it. `on_change` publishes a new one to guard, verifier and metrics."""

    def __init__(
        self,
        maker: GenerationMaker,
        first: Generation,
        *,
        journal: Journal,
        on_change: Callable[[Generation], None],
        environment: Mapping[str, str],
    ) -> None:
        self.current = first
        self.problem: SecurityError | None = None
        """Why the files were not applied the last time."""
        self._maker = maker
        self._journal = journal
        self._on_change = on_change
        self._environment = environment
        self._requested = asyncio.Event()
        self._retired: set[Upstream] = set()
        self._retiring: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Refreshes the catalogue and watches the files while the block runs; closes the upstreams at its end."""
        await self._record(None, self.current)
        self.current.refresh.start()
        handles_signal = self._handle_hangup()
        watching = asyncio.create_task(self._watch(), name="configuration-reload")
        try:
            yield
        finally:
            if handles_signal:
                asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
            await cancel_tasks(watching)
            await self.current.refresh.stop()
            await cancel_tasks(*self._retiring)
            for upstream in (*self.current.upstreams, *self._retired):
                await upstream.close()

    def _handle_hangup(self) -> bool:
        """Makes SIGHUP request a reload. False where that is not possible: outside the main thread, and on Windows."""
        try:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._requested.set)
        except (RuntimeError, ValueError):  # asyncio raises the one, uvloop the other
            return False
        return True

    async def reload(self) -> None:
        """Reads both files and applies them. If there is a problem, what was applied before stays."""
        try:
            await self._apply()
        except SecurityError as failure:
            earlier, self.problem = self.problem, failure
            if earlier is None or describe(earlier) != describe(failure):
                log.error("configuration_not_applied", cause=describe(failure))  # noqa: TRY400 - expected, with a hint
        else:
            self.problem = None

    async def _apply(self) -> None:
        before = self.current
        declaration, lock = await asyncio.to_thread(self._read)
        lock_digest = lock.digest if lock is not None else None
        if (declaration.digest, lock_digest) == (before.declaration.digest, before.lock_digest):
            return
        prepared = await asyncio.to_thread(self._maker.prepare, declaration, lock, before)
        new = self._maker.connect(declaration, lock, prepared, before)
        await self._record(before, new)
        new.adopt_upstreams()
        self.current = new
        self._on_change(new)
        for endpoint in before.endpoints.values():
            endpoint.replace()
        new.refresh.start()
        await before.refresh.stop()
        for upstream in before.upstreams:
            if upstream not in new.upstreams:
                self._retired.add(upstream)
                retiring = asyncio.create_task(self._retire(upstream), name=f"retire-{upstream.name}")
                self._retiring.add(retiring)
                retiring.add_done_callback(self._retiring.discard)
        for notice in declaration.notices:
            log.warning("declaration_notice", notice=notice)
        log.info("configuration_applied", declaration=declaration.digest, lock=lock_digest)

    async def _retire(self, upstream: Upstream) -> None:
        """Closes an upstream that is not used any more. The shutdown closes it if this task is cancelled."""
        await wait_until_unused(upstream)
        await upstream.close()
        self._retired.discard(upstream)

    def _read(self) -> tuple[GatewayDeclaration, Lock | None]:
        settings = self._maker.settings
        main_file = self.current.declaration.files[0]  # the others are those that it includes
        declaration = load_declaration(main_file, self._environment)
        lock = load_lock(settings.lock_file, settings.lock_keys_file)
        if lock is None and self.current.lock_digest is not None:
            hint = "restore it; to serve definitions that were not approved, restart the gateway without it"
            raise LockInvalid(f"{settings.lock_file} does not exist any more", hint=hint)
        return declaration, lock

    async def _record(self, before: Generation | None, after: Generation) -> None:
        declared, pinned = _shown(after.declaration.digest), _shown(after.lock_digest)
        if before is not None:
            declared = f"{_shown(before.declaration.digest)} -> {declared}"
            pinned = f"{_shown(before.lock_digest)} -> {pinned}"
        await self._journal.record(
            AuditEvent(
                event_type=EventType.DECLARATION_APPLIED,
                action_taken=Action.APPLIED,
                outcome=Outcome.SUCCESS,
                reason=f"gateway.yaml {declared}; gateway.lock {pinned}",
            )
        )

    async def _watch(self) -> None:
        """Applies the files when one of them has changed, when a signal asks for it, or once they can be recorded."""
        states = self._states()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._requested.wait()
            current = self._states()
            was_not_recorded = isinstance(self.problem, JournalUnavailable)
            if current != states or self._requested.is_set() or was_not_recorded:
                self._requested.clear()
                try:
                    await self.reload()
                except Exception as failure:  # a defect must not end the watch
                    log.exception("reload_failed", cause=type(failure).__name__)
                states = self._states() | current

    def _states(self) -> dict[Path, FileState]:
        settings = self._maker.settings
        files = {*self.current.declaration.files, settings.lock_file}
        return {file: _state_of(file) for file in files}


def _state_of(file: Path) -> FileState:
    try:
        status = os.stat(file)  # noqa: PTH116 - called every two seconds for each file
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _shown(digest: str | None) -> str:
    return digest[:SHOWN_DIGITS] if digest else "none"
