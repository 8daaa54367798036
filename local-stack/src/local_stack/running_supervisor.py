"""Runs `local-stack run` as a separate process during a `with` block."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from local_stack.errors import StackError
from local_stack.given_settings import without_settings
from local_stack.ports import StackPorts

__all__ = ["COMMAND", "environment", "running"]

COMMAND = [str(Path(sys.executable).with_name("local-stack"))]


def environment(ports: StackPorts, **settings: str) -> dict[str, str]:
    """The environment with these ports and settings, and without any setting from the caller's environment."""
    named = {"AUTH_PORT": ports.auth, "MCP_PORT": ports.mcp, "REDIS_PORT": ports.redis}
    return {**without_settings(os.environ), **{name: str(port) for name, port in named.items()}, **settings}


@contextmanager
def running(folder: Path, ports: StackPorts, **settings: str) -> Generator[tuple[subprocess.Popen[str], list[str]]]:
    """Yields the process and the lines of its start message. Raises `StackError` if it ends before it prints them."""
    with subprocess.Popen(
        [*COMMAND, "run"],
        cwd=folder,
        env=environment(ports, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started, _read_message(started)
        finally:
            if started.poll() is None:
                started.terminate()
            started.wait(timeout=60)


def _read_message(started: subprocess.Popen[str]) -> list[str]:
    lines: list[str] = []
    for line in started.stdout or ():
        lines.append(line)
        if "Ctrl-C" in line:
            return lines
    raise StackError("local-stack run ended", hint=started.communicate()[1])
