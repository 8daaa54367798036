"""The supervisor of `make run`: it starts all servers or none, stops them in time, and leaves no process running."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack.ports import StackPorts
from local_stack.readiness import fetch_readiness
from local_stack.running_supervisor import COMMAND, environment, running


def await_condition(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def all_gone(ports: StackPorts) -> bool:
    return not any(map(listening, (ports.auth, ports.mcp, ports.redis)))


def token(folder: Path, ports: StackPorts) -> str:
    printed = subprocess.run(
        [*COMMAND, "token"], cwd=folder, env=environment(ports), capture_output=True, text=True, check=True
    )
    return printed.stdout.strip()


def greeting(ports: StackPorts, access_token: str) -> str:
    request = urllib.request.Request(
        f"http://localhost:{ports.mcp}/hello", headers={"Authorization": f"Bearer {access_token}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_time(tmp_path: Path, asked: signal.Signals) -> None:
    ports = StackPorts.ephemeral()
    began = time.monotonic()
    with running(tmp_path, ports) as (supervisor, card):
        start_seconds = time.monotonic() - began
        text = "".join(card)
        assert f"http://localhost:{ports.auth}" in text
        assert f"http://localhost:{ports.mcp}/mcp" in text
        supervisor.send_signal(asked)
        # Five seconds are promised. A machine that is slow or busy also takes long to start the stack.
        assert supervisor.wait(timeout=5 + start_seconds) == 0
        assert all_gone(ports)


def test_a_start_that_needs_an_action_prints_the_reason(tmp_path: Path) -> None:
    """Redis has lost its data. The commands in the message can be run while the stack waits."""
    ports = StackPorts.ephemeral()
    with running(tmp_path, ports):
        pass
    shutil.rmtree(tmp_path / ".run/redis")
    with subprocess.Popen(
        [*COMMAND, "run"], cwd=tmp_path, env=environment(ports), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as again:
        try:
            assert again.stderr is not None
            waiting = next(line.decode() for line in again.stderr if line.startswith(b"waiting for auth-service"))
            assert "`auth-service redis accept`" in waiting
            for service in ("auth-service", "mcp-resource-service"):
                accept = [*COMMAND, "admin", service, "redis", "accept"]
                subprocess.run(accept, cwd=tmp_path, env=environment(ports), check=True, capture_output=True)
            assert await_condition(lambda: is_ready(ports), seconds=60)
        finally:
            again.send_signal(signal.SIGTERM)


def is_ready(ports: StackPorts) -> bool:
    return fetch_readiness(f"http://localhost:{ports.mcp}/readyz").is_ready


def test_when_one_server_ends_the_others_are_stopped(tmp_path: Path) -> None:
    ports = StackPorts.ephemeral()
    with running(tmp_path, ports) as (supervisor, _message):
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        )
        processes = [line.split(None, 2) for line in listed.stdout.splitlines()]
        [victim] = [pid for pid, parent, command in processes if parent == str(supervisor.pid) and "auth-s" in command]
        os.kill(int(victim), signal.SIGKILL)
        assert supervisor.wait(timeout=60) == 1
        assert supervisor.stderr is not None
        assert "error: auth-service ended unexpectedly\nhint: see " in supervisor.stderr.read()
        assert all_gone(ports)


def test_no_server_survives_a_killed_supervisor(tmp_path: Path) -> None:
    ports = StackPorts.ephemeral()
    with running(tmp_path, ports) as (supervisor, _message):
        supervisor.kill()
        supervisor.wait()
        assert await_condition(lambda: all_gone(ports), 60)


def test_state_survives_a_restart_and_reset_deletes_it(tmp_path: Path) -> None:
    ports = StackPorts.ephemeral()
    with running(tmp_path, ports):
        earlier = token(tmp_path, ports)
    with running(tmp_path, ports):
        assert "안녕하세요" in greeting(ports, earlier)
        refused = subprocess.run(
            [*COMMAND, "reset"], cwd=tmp_path, env=environment(ports), capture_output=True, text=True, check=False
        )
        assert refused.returncode == 1
        assert "error: another stack already uses this state" in refused.stderr
    subprocess.run([*COMMAND, "reset", "--yes"], cwd=tmp_path, env=environment(ports), check=True)
    assert not (tmp_path / ".run").exists()


@pytest.mark.parametrize("taken", ["auth", "mcp", "redis"])
def test_a_taken_port_is_an_error_with_a_hint_and_nothing_starts(tmp_path: Path, taken: str) -> None:
    ports = StackPorts.ephemeral()
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", getattr(ports, taken)))
        squatter.listen()
        refused = subprocess.run(
            [*COMMAND, "run"],
            cwd=tmp_path,
            env=environment(ports),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: port {getattr(ports, taken)} is taken\nhint: ")
    assert f"{taken.upper()}_PORT=" in refused.stderr
    assert all_gone(ports)


def test_an_invalid_port_is_an_error(tmp_path: Path) -> None:
    refused = subprocess.run(
        [*COMMAND, "run"],
        cwd=tmp_path,
        env={**os.environ, "AUTH_PORT": "eighty"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (1, "error: AUTH_PORT is not a port: eighty")


def install(folder: Path, *, path: str, python: str = "python3") -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    (folder / "requirements").mkdir()
    (folder / "requirements/install.sh").write_text((root / "requirements/install.sh").read_text())
    return subprocess.run(
        ["/bin/sh", "requirements/install.sh", "run", python],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_old_python_is_an_error_with_a_hint(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 1;; --version) echo Python 3.9.2;; esac\n')
    old.chmod(0o755)
    refused = install(tmp_path, path=f"{tmp_path}:/usr/bin:/bin")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: Python 3.9.2 is too old\nhint: install Python 3.11 or newer")
    assert not (tmp_path / ".venv").exists()


def test_a_missing_python_is_an_error_with_a_hint(tmp_path: Path) -> None:
    refused = install(tmp_path, path="/usr/bin:/bin", python="python9")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: python9 is not on the PATH\nhint: ")
