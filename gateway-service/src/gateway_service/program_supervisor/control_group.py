"""A control group (cgroup v2) for one program, where this process may create one.

Its limits hold for all processes of the program together, and the kernel ends all of them at once. Without one, the
supervisor counts and ends the processes itself.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Self

__all__ = ["ControlGroup"]

_PREFIX = "mcp-gateway-"


class ControlGroup:
    """A group below that of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def create(cls, *, memory_bytes: int, processes: int) -> Self | None:
        """The new group; None where this process may create none."""
        parent = _own_folder()
        if parent is None:
            return None
        _remove_leftovers(parent)
        folder = parent / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            folder.mkdir()
        except OSError:
            return None
        group = cls(folder)
        # The files exist if the operator has delegated the controllers.
        group._write("memory.max", str(memory_bytes))
        group._write("memory.swap.max", "0")
        group._write("pids.max", str(processes))
        return group

    def join(self) -> None:
        """Moves this process into the group."""
        self._write("cgroup.procs", "0")

    def kill(self) -> None:
        """Kills all processes of the group."""
        self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Removes the group, which has to be empty."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _write(self, name: str, value: str) -> None:
        with contextlib.suppress(OSError), (self._folder / name).open("r+", encoding="ascii") as file:
            file.write(value)


def _own_folder() -> Path | None:
    """The folder of this process's group in cgroup v2."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    mount_points = [line.split()[4] for line in mounts if line.partition(" - ")[2].startswith("cgroup2 ")]
    paths = [line.removeprefix("0::") for line in groups if line.startswith("0::")]
    if not mount_points or not paths or ".." in paths[0]:
        return None
    return Path(mount_points[0]) / paths[0].lstrip("/")


def _remove_leftovers(parent: Path) -> None:
    """Ends what is left of a program whose supervisor and guardian were both killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        supervisor = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", supervisor).exists():
            leftover = ControlGroup(folder)
            leftover.kill()
            leftover.remove()
