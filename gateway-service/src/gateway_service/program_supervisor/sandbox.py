"""Runs a program in a sandbox of bubblewrap, where that is installed and works."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from gateway_service.program_supervisor.program_request import PRIVATE_FOLDER

__all__ = ["is_sandbox_available", "sandbox_command"]

_EXECUTABLE = "bwrap"
CHECK_SECONDS = 10.0

# What programs and their run-time systems need to start. Files with secrets of the machine are not readable without
# the rights of their owner, which the sandbox does not give.
_SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt")


def sandbox_command(*, has_network: bool, readable: Sequence[str], writable: Sequence[str], folder: str) -> list[str]:
    """The command in front of that of the program.

    Its processes are in a PID namespace of their own, which the kernel ends as a whole. Without `readable` and
    `writable` the program has the files of its user; with them only these, those of the system, and its private folder.
    """
    command = [_EXECUTABLE, "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if not has_network:
        command.append("--unshare-net")
    if readable or writable:
        for path in _SYSTEM_FOLDERS:
            command += ["--ro-bind-try", path, path]
        for path in readable:
            command += ["--ro-bind", path, path]
        for path in writable:
            command += ["--bind", path, path]
        command += ["--bind", PRIVATE_FOLDER, PRIVATE_FOLDER]
    else:
        command += ["--bind", "/", "/"]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--chdir", folder, "--"]


@cache
def is_sandbox_available() -> bool:
    """Whether a program can be run in a sandbox: many containers and systems do not allow it. It is tried once."""
    if shutil.which(_EXECUTABLE) is None:
        return False
    command = sandbox_command(has_network=False, readable=(), writable=(), folder="/")
    try:
        done = subprocess.run(  # noqa: S603 - nothing of it comes from outside
            [*command, "true"],
            check=False,
            timeout=CHECK_SECONDS,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
