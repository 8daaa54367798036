"""A backup that was written under load: everything is deleted, and is back with the same keys, clients and records."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from local_stack.backups import back_up, restore_state
from local_stack.demo_scenario import PERSON, ServicesApi
from local_stack.errors import StackError
from local_stack.ports import StackPorts
from local_stack.stack import AUTH, Stack, start_stack


def run(stack: Stack, program: str, *arguments: str) -> str:
    """Runs a command with the settings of the stack, and returns what it prints."""
    command = [str(Path(sys.executable).with_name("local-stack")), "admin", program, *arguments]
    settings = {
        "AUTH_PORT": str(stack.ports.auth),
        "MCP_PORT": str(stack.ports.mcp),
        "REDIS_PORT": str(stack.ports.redis),
    }
    done = subprocess.run(
        command,
        cwd=stack.state.parent,
        env={**stack.environment(AUTH), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def traffic(api: ServicesApi) -> Iterator[None]:
    """Tokens are issued and records are stored while the block runs."""
    ends = threading.Event()

    def call() -> None:
        with httpx2.Client(timeout=60) as http:
            caller = ServicesApi(api.auth_url, api.mcp_url, http)
            while not ends.is_set():
                caller.client.token("mcp.access")
                caller.call("store_sensitive_data", {"data": "written during the backup"})

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield
    finally:
        ends.set()
        caller.join()


@pytest.mark.ops
def test_everything_is_back_after_a_restore(tmp_path: Path) -> None:
    ports, state, archive = StackPorts.ephemeral(), tmp_path / ".run", tmp_path / "backup.tar.gz"
    with httpx2.Client(timeout=60) as http:
        with start_stack(state, ports=ports) as stack:
            api = ServicesApi(stack.auth_url, stack.mcp_url, http)
            token = api.client.token("mcp.access mcp.decrypt")
            record = api.call("store_sensitive_data", {"data": PERSON})["record_id"]
            keys = http.get(f"{stack.auth_url}/.well-known/jwks.json").json()
            [client] = json.loads(run(stack, "auth-service", "client", "create", "lasting", "--json"))
            with traffic(api):
                assert [line.partition(":")[0] for line in back_up(stack, archive)] == [str(archive)]
            [late] = json.loads(run(stack, "auth-service", "client", "create", "late", "--json"))
        shutil.rmtree(state)
        state.mkdir(mode=0o700)
        assert restore_state(Stack(ports, state), archive).startswith("restored the backup of 20")
        with start_stack(state, ports=ports) as stack:
            assert http.get(f"{stack.auth_url}/.well-known/jwks.json").json() == keys
            api = ServicesApi(stack.auth_url, stack.mcp_url, http, (client["client_id"], client["client_secret"]))
            assert api.get("/hello", token).status_code == 200
            assert api.get("/hello", api.token).status_code == 200
            call = {"name": "read_sensitive_data", "arguments": {"record_id": record}}
            assert PERSON in api.post_mcp(token, "2025-11-25", "tools/call", call).text
            assert late["client_id"] not in run(stack, "auth-service", "client", "list")
            verified = run(stack, "security-common", "audit", "verify")
            assert "auth-service: intact" in verified
            assert "mcp-resource-service: intact" in verified


def test_a_state_is_never_overwritten(tmp_path: Path) -> None:
    stack = Stack(StackPorts.ephemeral(), tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text("in use")
    with pytest.raises(StackError, match="there is state already"):
        restore_state(stack, tmp_path / "backup.tar.gz")


def test_without_a_state_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="there is no state"):
        next(back_up(Stack(StackPorts.ephemeral(), tmp_path), tmp_path / "backup.tar.gz"))
    assert not (tmp_path / "backup.tar.gz").exists()
