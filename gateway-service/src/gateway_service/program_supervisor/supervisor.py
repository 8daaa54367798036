"""The supervisor of one program, and the guardian of the supervisor."""

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from gateway_service.program_supervisor.control_group import ControlGroup
from gateway_service.program_supervisor.process_attributes import (
    adopt_orphans,
    end_with_parent,
    limit_resources,
    raise_oom_score,
)
from gateway_service.program_supervisor.process_tree import descendants, end_descendants, measure, signal_group
from gateway_service.program_supervisor.program_request import PRIVATE_FOLDER, ProgramRequest

__all__ = ["run"]

MEASURE_SECONDS = 0.25
STEP_SECONDS = 2.0
"""After its standard input was closed, and again after SIGTERM, a program has this time to end."""

_CANNOT_EXECUTE = 127


def run(control: socket.socket) -> None:
    """Runs the program that the control socket asks for, until the program or the control socket ends."""
    control.set_inheritable(False)
    adopt_orphans()
    private = tempfile.mkdtemp(prefix="mcp-program-")
    guardian = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        try:
            end_with_parent(guardian, signal.SIGTERM)
            _Supervisor(control, private).run()
        except Exception:  # noqa: BLE001 - it must not return to the code of the guardian
            traceback.print_exc()
        finally:
            os._exit(0)
    control.close()
    _release_standard_streams()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.waitpid(-1, 0)[0] != supervisor:
        continue
    end_descendants()
    shutil.rmtree(private, ignore_errors=True)


class _Supervisor:
    def __init__(self, control: socket.socket, private: str) -> None:
        self._control = control
        self._private = private
        self._group: ControlGroup | None = None
        self._program = 0
        self._status: int | None = None
        self._is_orphan = False

    def run(self) -> None:
        """Starts the program, watches it, and ends what is left of it."""
        adopt_orphans()
        wake_up, on_signal = os.pipe()
        for end in (wake_up, on_signal):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _do_nothing)
        signal.signal(signal.SIGTERM, self._note_orphaned)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(on_signal, warn_on_full_buffer=False)
        reason = "not_started"
        try:
            request = self._read_request()
            if request is not None:
                self._group = ControlGroup.create(memory_bytes=request.memory_bytes, processes=request.processes)
                reason = self._start(request) or self._watch(request, wake_up)
        finally:
            self._end_everything()
            self._report({"event": "ended", "reason": reason, "status": self._status})

    def _read_request(self) -> ProgramRequest | None:
        line = bytearray()
        while not line.endswith(b"\n"):
            received = self._control.recv(65536)
            if not received:
                return None
            line += received
        return ProgramRequest.from_line(bytes(line))

    def _start(self, request: ProgramRequest) -> str | None:
        """Starts the program. Returns why that failed, or None."""
        failure_read, failure_write = os.pipe()
        parent = os.getpid()
        self._program = os.fork()
        if self._program == 0:
            os.close(failure_read)
            _become_program(request, self._private, parent, self._group, failure_write)
        os.close(failure_write)
        _release_standard_streams()
        failure = os.read(failure_read, 100).decode()
        os.close(failure_read)
        if failure:
            return failure
        self._report({"event": "started", "pid": self._program})
        return None

    def _watch(self, request: ProgramRequest, wake_up: int) -> str:
        """Returns why the program has to be ended, or that it has ended."""
        while True:
            ready = _wait_until_readable(self._control.fileno(), wake_up, seconds=MEASURE_SECONDS)
            if wake_up in ready:
                os.read(wake_up, 1024)
            self._reap()
            if self._status is not None:
                return "exited"
            if self._is_orphan:
                return "supervisor_lost"
            if self._control.fileno() in ready:
                self._ask_to_end(wake_up, is_in_sandbox=bool(request.sandbox))
                return "requested"
            usage = measure(os.getpid())
            if usage.processes > request.processes:
                return "too_many_processes"
            if usage.memory_bytes > request.memory_bytes:
                return "too_much_memory"

    def _ask_to_end(self, wake_up: int, *, is_in_sandbox: bool) -> None:
        """Waits until the program exits, because its standard input is closed; then sends SIGTERM.

        In a sandbox the first two processes are bubblewrap itself, which would end at once, and kill the program.
        """
        self._wait(wake_up, STEP_SECONDS)
        if self._status is None:
            if is_in_sandbox:
                signal_group(descendants(self._program)[1:], self._program, signal.SIGTERM)
            else:
                with contextlib.suppress(OSError):
                    os.killpg(self._program, signal.SIGTERM)
            self._wait(wake_up, STEP_SECONDS)

    def _wait(self, wake_up: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._status is None and not self._is_orphan:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            if _wait_until_readable(wake_up, seconds=remaining):
                os.read(wake_up, 1024)
            self._reap()

    def _reap(self) -> None:
        """Collects the processes that have ended, with those that were adopted."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._program:
                    self._status = os.waitstatus_to_exitcode(status)

    def _end_everything(self) -> None:
        if self._program and self._status is None:
            with contextlib.suppress(OSError):
                os.killpg(self._program, signal.SIGKILL)
        if self._group is not None:
            self._group.kill()
        end_descendants()
        if self._group is not None:
            self._group.remove()
        shutil.rmtree(self._private, ignore_errors=True)

    def _report(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the gateway may have ended
            self._control.sendall(json.dumps(message).encode() + b"\n")

    def _note_orphaned(self, *_: object) -> None:
        self._is_orphan = True


def _become_program(
    request: ProgramRequest, private: str, parent: int, group: ControlGroup | None, failure_write: int
) -> NoReturn:
    """Replaces this process by the program. Writes why that failed."""
    try:
        os.setsid()
        end_with_parent(parent, signal.SIGKILL)
        if group is not None:
            group.join()
        raise_oom_score()
        limit_resources(memory_bytes=request.memory_bytes, processes=request.processes, files=request.files)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        environment = dict(request.environment)
        for variable, name in (("HOME", "home"), ("TMPDIR", "tmp")):
            folder = Path(private, name)
            folder.mkdir(mode=0o700)
            environment.setdefault(variable, str(folder))
        os.umask(0o077)
        os.chdir(request.folder)
        sandbox = [part.replace(PRIVATE_FOLDER, private) for part in request.sandbox]
        command = [*sandbox, *request.command]
        os.execvpe(command[0], command, environment)  # noqa: S606 - the operator has declared the program
    except OSError as failure:
        os.write(failure_write, f"{type(failure).__name__}: {failure.strerror}".encode()[:100])
    finally:
        os._exit(_CANNOT_EXECUTE)


def _wait_until_readable(*descriptors: int, seconds: float) -> set[int]:
    """The descriptors that can be read, or none after the time.

    The control socket keeps the number that it had in the gateway, which can be 1024 or more: `select` does not accept
    such a number.
    """
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        return {key.fd for key, _ in selector.select(seconds)}


def _do_nothing(*_: object) -> None:
    """The handler of a signal that only has to wake up the selector."""


def _release_standard_streams() -> None:
    """Closes this process's ends of the program's streams, so that their end is seen when the program has ended."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
