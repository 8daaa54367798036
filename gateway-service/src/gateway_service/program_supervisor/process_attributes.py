"""Attributes of a process that the kernel enforces: adopts orphans, ends with its parent, limited resources (Linux)."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

__all__ = ["adopt_orphans", "end_with_parent", "limit_resources", "raise_oom_score"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE = "500"

# RLIMIT_NPROC counts all processes of the user, so this limit has to be generous. It only holds up a fork bomb until
# the supervisor, which counts the processes of the program itself, ends it.
_MARGIN_OF_PROCESSES = 2000


def adopt_orphans() -> None:
    """Makes this process the parent of every process below it whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Makes the kernel send this process a signal when its parent ends. Ends it now if the parent has ended already."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def limit_resources(*, memory_bytes: int, processes: int, files: int) -> None:
    """Limits this process and those that it starts: data in memory, open files, no core files."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, files)
    # Not the address space: some run-time systems reserve gigabytes of it, and use little.
    _limit(resource.RLIMIT_DATA, memory_bytes)
    _limit(resource.RLIMIT_NPROC, _processes_of_user() + processes + _MARGIN_OF_PROCESSES)


def raise_oom_score() -> None:
    """Makes the OOM killer choose this process before others."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))


def _processes_of_user() -> int:
    """The processes and threads of this user."""
    user = os.getuid()
    count = 0
    with contextlib.suppress(OSError):
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if process.stat().st_uid == user:
                    count += len(list(process.joinpath("task").iterdir()))
    return count


def _prctl(option: int, value: int) -> None:
    """Calls prctl(2). Systems other than Linux have none; there only the process group of the program is ended."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
