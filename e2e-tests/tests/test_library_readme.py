"""The commands of the library's README work, from the saved files to a tool call with a token."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local_stack.fences import Fence, read_fences
from local_stack.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "shared-security/README.md"
START_SECONDS = 60
# The text that a program in the foreground prints when it is ready.
READY = {"make run": "MCP OAuth2 is ready", ".venv/bin/uvicorn": "Uvicorn running on"}


def test_the_steps_of_the_page_produce_a_protected_server(checkout: Path) -> None:
    auth, mcp, redis, weather = free_ports(4)
    ports = {"8081": str(auth), "8082": str(mcp), "9000": str(weather)}
    environment = {
        **os.environ,
        "PWD": str(checkout),
        "AUTH_PORT": str(auth),
        "MCP_PORT": str(mcp),
        "REDIS_PORT": str(redis),
    }
    printed = ""
    with ExitStack() as running:
        for fence in read_fences(README):
            text = replace_ports(fence, ports)
            if fence.file_name:
                (checkout / fence.file_name).write_text(text, encoding="utf-8")
            elif "background" in fence.tags:
                running.enter_context(running_in_background(text, checkout, environment))
            elif "run" in fence.tags:
                printed = run(text, checkout, environment)
            elif "output" in fence.tags:
                assert fence.text.strip() in printed
    assert "Jeju: sunny" in printed


def replace_ports(fence: Fence, ports: dict[str, str]) -> str:
    """The code block with free ports of this machine."""
    text = fence.text
    for written, used in ports.items():
        text = text.replace(f":{written}", f":{used}").replace(f"--port {written}", f"--port {used}")
    return text


def run(text: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running_in_background(text: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Runs a command in its own session until the block ends, as in a separate terminal."""
    ready = next(line for command, line in READY.items() if command in text)
    log = folder / f"{ready}.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["bash", "-euc", text], cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        ) as started,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while ready not in log.read_text():
                assert started.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            os.killpg(started.pid, signal.SIGINT)
            started.wait(timeout=30)
