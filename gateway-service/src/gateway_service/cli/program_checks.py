"""The checks of `gateway-service doctor` for upstreams that are programs."""

import asyncio
import os
import re
import shutil

from gateway_service.declaration import GatewayDeclaration, ProgramDeclaration
from gateway_service.program_supervisor.sandbox import is_sandbox_available
from gateway_service.settings import GatewaySettings
from security_common.service import CheckResult

__all__ = ["check_programs"]

_LAUNCHERS = frozenset({"npx", "bunx", "pnpx", "uvx", "pipx"})
_PINNED = re.compile(r".@\d|==\d")


async def check_programs(settings: GatewaySettings, declaration: GatewayDeclaration) -> list[CheckResult]:
    """Whether each program can be started, for whom it may run, and whether it runs in a sandbox."""
    programs = {each.name: each.program for each in declaration.upstreams if each.program is not None}
    if not programs:
        return []
    declaration.require_trusted_programs(is_local=settings.is_local)
    has_sandbox = await asyncio.to_thread(is_sandbox_available)
    results: list[CheckResult] = []
    for name, program in programs.items():
        results += _check_program(name, program, is_local=settings.is_local, has_sandbox=has_sandbox)
    if not has_sandbox:
        what = "programs: they run without a sandbox, and can read and change the files of the gateway's user"
        results.append(CheckResult(what, ok=True, warning=True, hint="install bubblewrap, or run each in a container"))
    return results


def _check_program(name: str, program: ProgramDeclaration, *, is_local: bool, has_sandbox: bool) -> list[CheckResult]:
    command = program.command[0]
    path = program.environment.get("PATH", os.environ.get("PATH", os.defpath))
    results: list[CheckResult] = []
    if shutil.which(str(program.folder / command) if "/" in command else command, path=path) is None:
        hint = "write its complete path, or set PATH in its `env`"
        results.append(CheckResult(f"{name}: the program {command} is not found", ok=False, hint=hint))
    if not program.folder.is_dir():
        hint = "set `cwd` to an existing folder"
        results.append(CheckResult(f"{name}: its folder {program.folder} does not exist", ok=False, hint=hint))
    if program.needs_sandbox and not has_sandbox:
        what = f"{name}: `network`, `read` and `write` need bubblewrap, which is not installed or does not work here"
        results.append(CheckResult(what, ok=False, hint="install it, allow user namespaces, or remove them"))
    if program.is_trusted and not is_local:
        what = f"{name}: the program runs for every caller as the user of the gateway (`trust: same-user`)"
        hint = "a container of its own with `gateway-service bridge` separates it from the gateway"
        results.append(CheckResult(what, ok=True, warning=True, hint=hint))
    is_launcher = os.path.basename(command) in _LAUNCHERS  # noqa: PTH119 - a name, which is not always a path
    if is_launcher and not any(map(_PINNED.search, program.command[1:])):
        what = f"{name}: {command} runs the newest release at each start"
        results.append(CheckResult(what, ok=True, warning=True, hint="write the version, such as package@1.2.3"))
    return results
