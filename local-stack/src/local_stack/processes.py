"""A child process that never outlives this one."""

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
    """One server, started now, with its output in a file.

    It has a session of its own, so that Ctrl-C reaches the supervisor only and the order of stopping is kept. On
    Linux the kernel terminates it when the thread that started it dies, however that happens: start it from the main
    thread.
    """

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the parent-death signal is the main thread's: start children from there")
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
                preexec_fn=_follow_parent(os.getpid()),  # noqa: PLW1509 - one thread, and nothing else can set it
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; a negative number is the signal that ended it."""
        return self._process.poll()

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL when it is still there after the grace."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        self._process.kill()
        self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """The end of its own output, without that of earlier processes in the same file."""
        with self.log.open("rb") as output:
            output.seek(self._log_begin)
            return "\n".join(output.read().decode(errors="replace").splitlines()[-lines:])


def _follow_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)
    on_linux = sys.platform == "linux"

    def follow() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if on_linux:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    return follow
