"""Runs the project's compose.yaml on a Docker engine, with a separate project name and separate ports."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local_stack.errors import StackError
from local_stack.given_settings import without_settings

__all__ = ["Compose"]

_ROOT = Path(__file__).resolve().parents[3]


class Compose:
    """`docker compose` for tests: call it with the arguments. `declaration` is a folder that contains auth.yaml.

    `settings` are settings of the services, as a user would set them in the shell. `further_files` are other compose
    files of the project.
    """

    def __init__(
        self,
        auth_port: int,
        mcp_port: int,
        gateway_port: int,
        *,
        declaration: Path,
        settings: Mapping[str, str] | None = None,
        further_files: Sequence[str] = (),
    ) -> None:
        self.auth_url, self.mcp_url, self.gateway_url = (
            f"http://localhost:{port}" for port in (auth_port, mcp_port, gateway_port)
        )
        names = ("compose.yaml", "deploy/compose.declared.yaml", *further_files)
        files = [part for name in names for part in ("--file", name)]
        project = f"mcp-oauth2-test-{auth_port}"  # several checkouts may test on one engine
        self._command = ["docker", "compose", "--project-name", project, *files]
        addresses = {
            "AUTH_PORT": str(auth_port),
            "MCP_PORT": str(mcp_port),
            "GATEWAY_PORT": str(gateway_port),
            "AUTH_CONFIG_DIR": str(declaration),
        }
        self._environment = {**without_settings(os.environ), **addresses, **(settings or {})}

    def __call__(self, *arguments: str) -> str:
        """Runs the command and returns its output. Raises `StackError` with the last log lines of the containers."""
        done = self._run(*arguments)
        if done.returncode:
            logs = self._run("logs", "--tail", "20").stdout
            raise StackError(
                f"docker compose {' '.join(arguments)} failed",
                hint=f"{done.stdout[-2000:]}{done.stderr[-4000:]}\n{logs}",
            )
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Starts the command in the background; its output is a pipe."""
        return subprocess.Popen(
            [*self._command, *arguments], cwd=_ROOT, env=self._environment, stdout=subprocess.PIPE, text=True
        )

    def run_tool(self, service: str, given: bytes = b"") -> bytes:
        """Runs a service once, with this standard input, and returns its standard output. Raises `StackError`."""
        done = subprocess.run(
            [*self._command, "run", "--rm", "--no-deps", "-T", service],
            cwd=_ROOT,
            env=self._environment,
            input=given,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"docker compose run {service} failed", hint=done.stderr.decode(errors="replace")[-4000:])
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """Returns the description of a service's container (`docker inspect`)."""
        container = self("ps", "--all", "--quiet", service).strip()
        shown = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
        return json.loads(shown.stdout)[0]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], cwd=_ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
