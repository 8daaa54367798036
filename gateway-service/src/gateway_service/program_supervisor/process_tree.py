"""The processes below this one: found through /proc, measured, and ended.

On other systems than Linux none are found, and only the process group of a program is ended.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TreeUsage", "descendants", "end_descendants", "measure", "signal_group"]

END_SECONDS = 10.0
_PAUSE_SECONDS = 0.005
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """How many processes there are, and how much memory they use together."""

    processes: int
    memory_bytes: int


def descendants(pid: int) -> list[int]:
    """The processes below a process, parents before children.

    With a subreaper as `pid` these include the processes whose parent has ended (PR_SET_CHILD_SUBREAPER in prctl(2)).
    """
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def measure(pid: int) -> TreeUsage:
    """What the processes below a process use. Memory that they share is counted for each of them."""
    pids = descendants(pid)
    return TreeUsage(len(pids), sum(map(_resident_bytes, pids)))


def end_descendants() -> None:
    """Kills every process below this one, which has to be a subreaper, and returns when none is left.

    They are stopped before they are killed, because a process that is stopped cannot start another one.
    """
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        stopped: set[int] = set()
        while True:
            running = set(descendants(os.getpid())) - stopped
            if not running:
                break
            _send(running, signal.SIGSTOP)
            stopped |= running
        _send(stopped, signal.SIGKILL)
        if not _reap():
            return
        time.sleep(_PAUSE_SECONDS)


def signal_group(pids: Sequence[int], group: int, number: signal.Signals) -> None:
    """Sends a signal to those of the processes that are in the process group."""
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            if os.getpgid(pid) == group:
                os.kill(pid, number)


def _reap() -> bool:
    """Collects the children that have ended. Returns whether others are left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended, or runs as another user
            os.kill(pid, number)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += map(int, thread.joinpath("children").read_text(encoding="ascii").split())
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
