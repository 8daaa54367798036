"""Runs the blocks of docs/operations.md in order: on a running stack, on the stopped one, and after its new start."""

import os
import subprocess
from pathlib import Path

import pytest

from local_stack.fences import Fence, read_fences
from local_stack.ports import StackPorts
from local_stack.running_supervisor import environment, running

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/operations.md"
SETTINGS = {"AUTH_KEY_LEAD_SECONDS": "1"}
"""So that the signing key can be rotated without waiting."""


def blocks(phase: str) -> list[Fence]:
    """The blocks of one phase: `running` for those without a tag for it."""
    fences = [fence for fence in read_fences(PAGE) if "run" in fence.tags]
    return [fence for fence in fences if (fence.tags & {"stopped", "restarted"} or {"running"}) == {phase}]


def play(folder: Path, ports: StackPorts, phase: str) -> str:
    """Runs the blocks of one phase in one shell, which stops at the first error, and returns their output."""
    script = "\n".join(fence.text for fence in blocks(phase)).replace(":8081", f":{ports.auth}")
    played = subprocess.run(
        ["bash", "-eu"],
        input=script,
        cwd=folder,
        env={**environment(ports, **SETTINGS), "PWD": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    return played.stdout


@pytest.mark.ops
def test_the_blocks_of_the_page(checkout: Path) -> None:
    ports = StackPorts.ephemeral()
    with running(checkout, ports, **SETTINGS):
        printed = play(checkout, ports, "running")
        assert "backup.tar.gz: complete" in printed
    assert "restored the backup of" in play(checkout, ports, "stopped")
    with running(checkout, ports, **SETTINGS):
        restored = play(checkout, ports, "restarted")
        assert "auth-service: intact" in restored
        assert "mcp-resource-service: intact" in restored


def test_every_block_is_run_by_a_test() -> None:
    for fence in read_fences(PAGE):
        assert len(fence.tags & {"run", "docker"}) == 1, fence.line


def test_the_shell_blocks_are_valid() -> None:
    for fence in read_fences(PAGE):
        subprocess.run(["bash", "-n"], input=fence.text, text=True, check=True, env=dict(os.environ))
