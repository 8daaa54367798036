"""Runs the command `gateway-service` as a process that serves, and its other commands until they end."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path

import httpx2

from local_stack.command_server import run_command

COMMAND = Path(sys.executable).with_name("gateway-service")


@dataclass
class Output:
    status: int
    out: str
    err: str


class Shell:
    """Runs commands with the settings of one gateway."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables
        self._processes: list[Process] = []

    async def start(self, *arguments: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, env=self.environment(), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        self._processes.append(process)
        return process

    async def stop(self, process: Process) -> bytes:
        """Ends a process and returns what it has written to stderr."""
        process.terminate()
        _, err = await process.communicate()
        return err

    async def stop_all(self) -> None:
        """Ends what a test that failed has left running."""
        for process in self._processes:
            if process.returncode is None:
                await self.stop(process)

    async def run(self, *arguments: str, given: str = "") -> Output:
        done = await asyncio.to_thread(
            run_command, COMMAND.name, *arguments, environment=self.environment(), given=given
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Output(done.returncode, done.stdout, done.stderr)

    def environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**inherited, **self.variables}


async def wait_until_ready(process: Process, url: str) -> None:
    async with httpx2.AsyncClient(verify=False) as http:
        while process.returncode is None:
            try:
                checks = (await http.get(url)).json()["checks"]
            except httpx2.HTTPError:
                checks = {}
            if checks and checks["keys"]["ok"] and checks["upstream:crm"]["ok"]:
                return
            await asyncio.sleep(0.05)
    raise AssertionError("the gateway ended")
