"""Programs as upstreams, for the tests: their entries in gateway.yaml, and what of their processes is left."""

import asyncio
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
