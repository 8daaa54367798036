"""Programs as upstreams, for the tests: their entries in gateway.yaml, and what of their processes is left."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PROGRAM = str(Path(__file__).with_name("programs") / "stdio_server.py")
WORDS = "words of the program"
ERAS = ("stateless", "handshake")


def program(*options: str, era: str = "stateless", **members: Any) -> dict[str, Any]:
    """The entry of the test program in gateway.yaml."""
    return {"command": sys.executable, "args": [PROGRAM, "--era", era, *options], **members}


def pid_of(name: str) -> int:
    """The id that a process has here, by the name that the test program gives it. In a sandbox it has another one."""
    namespace, _, own_pid = name.rpartition(":")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            is_in_namespace = str(process.joinpath("ns/pid").readlink()) == namespace
            if is_in_namespace and _pids_by_namespace(process)[-1] == own_pid:
                return int(process.name)
    raise AssertionError(f"there is no process {name}")


def pids_of(names: str) -> list[int]:
    """The ids of the processes whose names the tool `processes` has returned."""
    return list(map(pid_of, json.loads(names)))


def _pids_by_namespace(process: Path) -> list[str]:
    """The ids of a process in each of its PID namespaces, the innermost one last."""
    lines = process.joinpath("status").read_text(encoding="utf-8").splitlines()
    return next(line.split()[1:] for line in lines if line.startswith("NSpid:"))


def supervisors_of(pid: int) -> list[int]:
    """Supervisor and guardian of a program, by the id of one of its processes. A sandbox is between them and it."""
    return [
        each
        for each in parents_of(pid)
        if b"gateway_service.program_supervisor" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]


def is_running(pid: int) -> bool:
    """Whether the process exists, and is not only waiting to be collected by its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
    except OSError:
        return False
    return state not in "ZX"


async def wait_until(is_reached: Callable[[], bool]) -> None:
    """Waits until the condition holds."""
    while True:
        if is_reached():
            return
        await asyncio.sleep(0.02)


async def wait_until_ended(pids: Iterable[int]) -> None:
    """Waits until none of the processes runs."""
    watched = list(pids)
    await wait_until(lambda: not any(map(is_running, watched)))


def parents_of(pid: int) -> list[int]:
    """The processes above one, the nearest first."""
    found: list[int] = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()[1])
        found.append(pid)
    return found
