"""A child process that is terminated when its parent ends."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["Child"]

_PR_SET_PDEATHSIG = 1


class Child:
    """A server process that is started at once and writes its output to a file.

    It runs in its own session, so that Ctrl-C reaches only the supervisor, which then stops the servers in order. On
    Linux the kernel terminates it when the thread that started it ends for any reason. It therefore has to be started
    from the main thread.
    """

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "start children from the main thread: the parent-death signal is sent when the starting thread ends"
            )
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_begin = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_terminate_with_parent(os.getpid()),  # noqa: PLW1509 - safe with one thread; no other parameter sets this
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; a negative number is the signal that terminated it."""
        return self._process.poll()

    def stop(self, grace_seconds: float) -> None:
        """Sends SIGTERM, and SIGKILL if the process has not ended after the grace period."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Sends SIGKILL, which simulates a crash."""
        self._process.kill()
        self._process.wait()

    def last_output(self, lines: int = 15) -> str:
        """The last lines of its output, without those of earlier processes in the same file."""
        with self.log.open("rb") as output:
            output.seek(self._log_begin)
            return "\n".join(output.read().decode(errors="replace").splitlines()[-lines:])


def _terminate_with_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)
    on_linux = sys.platform == "linux"

    def request_signal() -> None:
        # The supervisor blocks signals with `pthread_sigmask`; a child would inherit that and ignore SIGTERM.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if on_linux:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # the parent ended before prctl was called
                os._exit(1)

    return request_signal
