"""A program that is an MCP server, as the gateway sees it: its streams, its start and its end."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, Self, cast

import structlog

from gateway_service.declaration import ProgramDeclaration
from gateway_service.program_supervisor.program_request import ProgramRequest
from gateway_service.upstreams.errors import UpstreamUnavailable
from security_common.secret_files import read_secret_file
from security_common.task_cancellation import cancel_tasks

__all__ = ["MaskText", "ProgramProcess", "log_lines"]

START_SECONDS = 10.0
END_SECONDS = 15.0
"""More than the supervisor needs: two seconds twice, and the time for killing what is left."""

MAX_LOGGED_CHARACTERS = 500
MAX_SEARCHED_CHARACTERS = 2 * MAX_LOGGED_CHARACTERS
MAX_LOGGED_LINES_PER_MINUTE = 60
LINES_WITHOUT_PAUSE = 1000
PAUSE_SECONDS = 0.1
"""Limits what reading lines of one program costs: the program waits once its pipe is full."""
_LINE_LIMIT_BYTES = 64 * 1024
_DEFAULT_LANGUAGE = "C.UTF-8"

MaskText = Callable[[str], str]
"""Masks personal data in a line that a program writes to its standard error."""

log = structlog.get_logger("gateway_service")


class ProgramProcess:
    """A running program with its supervisor."""

    def __init__(
        self,
        upstream: str,
        guardian: Process,
        control: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        mask: MaskText,
    ) -> None:
        if guardian.stdin is None or guardian.stdout is None or guardian.stderr is None:
            raise RuntimeError("the program was started without pipes")
        self.stdin = guardian.stdin
        self.stdout = guardian.stdout
        self._upstream = upstream
        self._guardian = guardian
        self._was_started = False
        self._reports, self._control = control
        self._logging = asyncio.create_task(log_lines(upstream, guardian.stderr, mask), name=f"stderr-{upstream}")

    @classmethod
    async def start(cls, upstream: str, declaration: ProgramDeclaration, *, sandbox: list[str], mask: MaskText) -> Self:
        """The program, once it runs. `sandbox` is the command that runs it in one.

        Raises `UpstreamUnavailable` if it cannot be executed; the log says why. Raises `SecretMissing` for a file with
        a variable.
        """
        request = _make_request(declaration, sandbox)
        own_end, its_end = socket.socketpair()
        try:
            guardian = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "gateway_service.program_supervisor", str(its_end.fileno())),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=_inherited("PATH", "TMPDIR"),
                pass_fds=(its_end.fileno(),),
                start_new_session=True,
                limit=_LINE_LIMIT_BYTES,
            )
        except OSError as failure:
            own_end.close()
            log.warning("program_not_started", upstream=upstream, cause=str(failure))
            raise UpstreamUnavailable.named(upstream) from failure
        finally:
            its_end.close()
        program = cls(upstream, guardian, await asyncio.open_connection(sock=own_end), mask)
        try:
            await program._begin(request)
        except BaseException:
            await program.end()
            raise
        return program

    async def end(self) -> None:
        """Ends the program with all its processes: closes its input, after two seconds SIGTERM, after two more SIGKILL.

        A program that ends by itself when its input is closed has time to store its state.
        """
        self.stdin.close()
        with contextlib.suppress(OSError, RuntimeError):  # the supervisor has ended
            self._control.write_eof()
        try:
            async with asyncio.timeout(END_SECONDS):
                report = await self._read_report()
                await self._guardian.wait()
        except TimeoutError:
            report = {"reason": "not ended in time"}
            with contextlib.suppress(ProcessLookupError):
                self._guardian.kill()  # the supervisor ends the rest
        self._control.close()
        # Closes the pipes. Otherwise they are closed when their last data was read, perhaps after the loop has ended.
        cast("Any", self._guardian)._transport.close()  # noqa: SLF001 - asyncio has no public method for it
        # Before Python 3.11.4, asyncio logs the error of a program that did not read its input unless it is awaited.
        with contextlib.suppress(OSError):
            await self.stdin.wait_closed()
        await cancel_tasks(self._logging)
        if not self._was_started:
            return  # which is logged already
        level = logging.INFO if report.get("reason") == "requested" else logging.WARNING
        cause, status = report.get("reason", "supervisor lost"), report.get("status")
        log.log(level, "program_ended", upstream=self._upstream, cause=cause, exit_status=status)

    async def _begin(self, request: ProgramRequest) -> None:
        self._control.write(request.to_line())
        try:
            async with asyncio.timeout(START_SECONDS):
                report = await self._read_report()
        except TimeoutError:
            report = {"reason": f"no answer of the supervisor within {START_SECONDS:g} seconds"}
        if report.get("event") != "started":
            log.warning("program_not_started", upstream=self._upstream, cause=report.get("reason", "supervisor lost"))
            raise UpstreamUnavailable.named(self._upstream)
        self._was_started = True
        log.info("program_started", upstream=self._upstream, pid=report.get("pid"))

    async def _read_report(self) -> dict[str, Any]:
        """The next report of the supervisor; empty when there is none any more."""
        try:
            line = await self._reports.readline()
            return cast("dict[str, Any]", json.loads(line)) if line else {}
        except (OSError, ValueError):
            return {}


def _make_request(declaration: ProgramDeclaration, sandbox: list[str]) -> ProgramRequest:
    """What the supervisor has to run. No variable of the gateway's own environment is passed on but PATH and LANG."""
    environment = {"LANG": _DEFAULT_LANGUAGE, **_inherited("PATH", "LANG"), **declaration.environment}
    for name, file in declaration.secret_files.items():
        hint = f"`env_files.{name}` in gateway.yaml names a file with the value alone"
        environment[name] = read_secret_file(file, setting=f"env_files.{name}", hint=hint)
    return ProgramRequest(
        command=list(declaration.command),
        environment=environment,
        folder=str(declaration.folder),
        memory_bytes=declaration.memory_bytes,
        processes=declaration.max_processes,
        files=declaration.max_files,
        sandbox=sandbox,
    )


def _inherited(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


async def log_lines(upstream: str, stream: asyncio.StreamReader, mask: MaskText) -> None:
    """Logs what a program writes to its standard error: cut, masked, and no more than some lines in a minute.

    Reading a line that is in the buffer does not suspend this task, so it pauses itself after a number of lines.
    """
    read_lines = 0
    minute, lines, left_out = 0, 0, 0
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit of the stream, which has dropped it
            line = b"(a line that is too long)\n"
        if not line:
            return
        read_lines += 1
        if read_lines % LINES_WITHOUT_PAUSE == 0:
            await asyncio.sleep(PAUSE_SECONDS)
        if int(time.monotonic() // 60) != minute:
            minute, lines = int(time.monotonic() // 60), 0
            if left_out:
                log.warning("program_lines_left_out", upstream=upstream, lines=left_out)
                left_out = 0
        if lines < MAX_LOGGED_LINES_PER_MINUTE:
            # It is masked before it is cut: half of a number would not be recognized.
            text = mask(line.decode("utf-8", "replace").strip()[:MAX_SEARCHED_CHARACTERS])
            log.info("program_stderr", upstream=upstream, text=text[:MAX_LOGGED_CHARACTERS])
            lines += 1
        else:
            left_out += 1
