"""The supervisor: starts workers on one listening socket, replaces those that end, and stops them together."""

import asyncio
import gc
import itertools
import signal
import socket
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ClassVar

import structlog
from prometheus_client import CollectorRegistry

from security_common.errors import SecurityError
from security_common.service.metrics_server import serving_metrics
from security_common.service.readiness import ReadinessResult
from security_common.service.server import GRACEFUL_STOP_SECONDS, LONGEST_IDLE_SECONDS
from security_common.service.settings import ServiceSettings
from security_common.service.workers.combined_readiness import combine_checks
from security_common.service.workers.started_worker import StartedWorker
from security_common.service.workers.worker import ANSWER_SECONDS
from security_common.service.workers.worker_metrics import WorkerCollector
from security_common.setting_names import setting_prefix
from security_common.task_cancellation import cancel_tasks

__all__ = ["WorkerFailed", "next_pause", "supervise_workers"]

_START_SECONDS = 300.0
"""After this time a replacement that has not started is given up."""
_CLOSE_SECONDS = 10.0
"""How long the parts of a worker may take to close, after its last request."""
_LASTING_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 30.0

log = structlog.get_logger(__name__)


class WorkerFailed(SecurityError):
    """The first worker was ended by a signal while it started."""

    error: ClassVar[str] = "worker_failed"


def supervise_workers(settings: ServiceSettings, listener: socket.socket) -> None:
    """Runs the workers until SIGTERM or SIGINT, which then has its default effect, as with a single process.

    If the first worker cannot start, it has printed the reason, and this process exits with its status. Raises
    `PortTaken` for the port of the metrics, and `WorkerFailed`.
    """
    gc.enable()  # a command may have disabled it while it imported its modules
    supervisor = _Supervisor(settings, listener)
    asyncio.run(supervisor.run())
    for received in supervisor.received:
        signal.raise_signal(received)


def next_pause(earlier_seconds: float | None, *, ran_seconds: float) -> float:
    """How long to wait before a worker is started again, in seconds: 0, then 1, 2, 4 … up to 30.

    `earlier_seconds` is the pause before the one that has ended, and None for the first worker. A worker that has
    accepted connections for a minute is replaced at once.
    """
    if earlier_seconds is None or ran_seconds >= _LASTING_SECONDS:
        return 0.0
    return min(max(1.0, 2 * earlier_seconds), _LONGEST_PAUSE_SECONDS)


class _Supervisor:
    def __init__(self, settings: ServiceSettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._expected = settings.worker_count
        self._workers: list[StartedWorker] = []
        self._numbers: set[int] = set()
        self._failures = 0
        self._is_starting = True
        self._stopping = asyncio.Event()
        self._replace_requested = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.received: list[signal.Signals] = []

    async def run(self) -> None:
        """Returns when every worker has ended after a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._replace_requested.set)
        try:
            with self._serving_metrics():
                await self._start_all()
                self._spawn(self._replace_when_requested())
                await self._stopping.wait()
                await self._await_ends()
        finally:
            await cancel_tasks(*self._tasks)
            for worker in self._workers:
                worker.send_signal(signal.SIGKILL)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _start_all(self) -> None:
        """Starts the first worker alone, so that a wrong setting is reported once, and then the others."""
        first = await self._start_worker()
        if not await first.wait_for_start(_START_SECONDS):
            await self._report_failed_start(first)
            return
        self._spawn(self._keep_running(first))
        for _ in range(self._expected - 1):
            if self._stopping.is_set():
                return
            self._spawn(self._keep_running(await self._start_worker()))

    async def _report_failed_start(self, worker: StartedWorker) -> None:
        if self._stopping.is_set():
            return
        worker.send_signal(signal.SIGKILL)  # it may still be starting
        status = await self._await_end(worker)
        if status > 0:
            sys.exit(status)
        raise WorkerFailed(
            f"the first worker was ended by signal {-status} while it started",
            hint="its log has the reason; without one it may have had too little memory",
        )

    async def _start_worker(self) -> StartedWorker:
        number = next(number for number in itertools.count() if number not in self._numbers)
        self._numbers.add(number)
        try:
            worker = await StartedWorker.start(number, self._listener, self._answer)
        except OSError:
            self._numbers.discard(number)
            raise
        self._workers.append(worker)
        log.info("worker_started", worker=number, process=worker.process_id)
        if self._stopping.is_set():  # the signal came in between, and was passed on to the other workers only
            worker.send_signal(signal.SIGTERM)
        return worker

    async def _keep_running(self, worker: StartedWorker) -> None:
        """Waits for the end of a worker, and starts another one, unless it was retired or the service stops."""
        pause_seconds: float | None = None
        while True:
            status = await self._await_end(worker)
            if self._stopping.is_set() or worker.is_retiring:
                return
            self._failures += 1
            pause_seconds = next_pause(pause_seconds, ran_seconds=worker.seconds_since_start)
            log.error("worker_ended", worker=worker.number, status=status, restart_after_seconds=pause_seconds)
            successor = await self._start_after(pause_seconds)
            if successor is None:
                return
            worker = successor

    async def _start_after(self, pause_seconds: float) -> StartedWorker | None:
        """Starts a worker after the pause, as soon as the system allows it; None if the service stops meanwhile."""
        while True:
            await asyncio.sleep(pause_seconds)
            if self._stopping.is_set():
                return None
            try:
                return await self._start_worker()
            except OSError as failure:
                log.error("worker_not_started", reason=failure.strerror)  # noqa: TRY400 - the traceback says no more
                pause_seconds = _LONGEST_PAUSE_SECONDS

    async def _await_end(self, worker: StartedWorker) -> int:
        status = await worker.wait_for_end()
        self._workers.remove(worker)
        self._numbers.discard(worker.number)
        await worker.close()
        return status

    async def _replace_when_requested(self) -> None:
        while True:
            await self._replace_requested.wait()
            self._replace_requested.clear()
            try:
                await self._replace_all()
            except OSError as failure:
                log.error("workers_not_replaced", reason=failure.strerror)  # noqa: TRY400 - the traceback says no more

    async def _replace_all(self) -> None:
        """Replaces the workers one by one. A replacement that cannot start leaves the present workers as they are."""
        log.info("workers_replacing")
        for worker in list(self._workers):
            if self._stopping.is_set() or not worker.accepts_connections:
                continue
            replacement = await self._start_worker()
            if not await replacement.wait_for_start(_START_SECONDS):
                replacement.send_signal(signal.SIGKILL)  # it may still be starting
                status = await self._await_end(replacement)
                if self._stopping.is_set():
                    return
                log.error("workers_not_replaced", status=status, hint="the log of the new worker has the reason")
                return
            self._spawn(self._keep_running(replacement))
            # If the worker has exited meanwhile, another one is started in its place.
            surplus = replacement if worker.has_ended else worker
            await surplus.retire()
            await self._await_retired(surplus)
        log.info("workers_replaced")

    async def _await_retired(self, worker: StartedWorker) -> None:
        """Waits for the end of a worker that retires. It is killed if it does not end."""
        try:
            async with asyncio.timeout(LONGEST_IDLE_SECONDS + GRACEFUL_STOP_SECONDS + _CLOSE_SECONDS):
                await worker.wait_for_end()
        except TimeoutError:
            worker.send_signal(signal.SIGKILL)

    def _stop(self, number: signal.Signals) -> None:
        """Passes the signal on. A second one ends the drain, as with a single process."""
        self.received.append(number)
        self._stopping.set()
        # The workers have the socket as well: when the last of them has closed it, connections are refused.
        self._listener.close()
        for worker in self._workers:
            worker.send_signal(number)

    async def _await_ends(self) -> None:
        deadline_seconds = self._settings.drain_seconds + GRACEFUL_STOP_SECONDS + _CLOSE_SECONDS
        ends = [asyncio.create_task(worker.wait_for_end(), name="worker-end") for worker in self._workers]
        if not ends:
            return
        _, late = await asyncio.wait(ends, timeout=deadline_seconds)
        if late:
            log.error("workers_killed", workers=len(late), hint=f"they have not ended within {deadline_seconds:g} s")
        await cancel_tasks(*ends)

    async def _answer(self, worker: StartedWorker, question: str) -> Any:
        match question:
            case "started":
                worker.note_start()
                if len([each for each in self._workers if each.accepts_connections]) >= self._expected:
                    self._is_starting = False
                return None
            case "readiness":
                return {name: asdict(result) for name, result in (await self._combined_checks()).items()}
            case _:
                raise ValueError(question)

    async def _combined_checks(self) -> dict[str, ReadinessResult]:
        answers = await self._ask_all("readiness")
        by_worker = {
            number: {name: ReadinessResult(**members) for name, members in checks.items()} if checks else None
            for number, checks in answers.items()
        }
        return combine_checks(by_worker, expected=self._expected, is_starting=self._is_starting)

    async def _ask_all(self, question: str) -> dict[int, Any]:
        """The answer of each worker that accepts connections, by its number; None if it does not answer."""
        workers = [worker for worker in self._workers if worker.accepts_connections]
        answers = await asyncio.gather(*(worker.ask(question) for worker in workers))
        return {worker.number: answer for worker, answer in zip(workers, answers, strict=True)}

    @contextmanager
    def _serving_metrics(self) -> Generator[None]:
        loop = asyncio.get_running_loop()

        def collect() -> dict[int, str]:
            """Called by the thread of the metrics server."""
            asking = asyncio.run_coroutine_threadsafe(self._ask_all("metrics"), loop)
            expositions = asking.result(timeout=ANSWER_SECONDS + 1)
            return {number: text for number, text in expositions.items() if text is not None}

        registry = CollectorRegistry()
        registry.register(
            WorkerCollector(
                collect,
                prefix=setting_prefix(self._settings).rstrip("_").lower(),
                count_running=lambda: len([worker for worker in self._workers if worker.accepts_connections]),
                count_failures=lambda: self._failures,
            )
        )
        with serving_metrics(self._settings, registry):
            yield

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine, name="workers")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
