"""The commands next to `make run` find the running stack, and explain the problem if there is none."""

import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from joserfc import jws

from local_stack.command_server import run_command
from local_stack.given_settings import without_settings
from local_stack.ports import StackPorts, free_ports
from local_stack.running_supervisor import COMMAND, environment, running

BIN = Path(sys.executable).parent
GIVEN = {"AUTH_ACCESS_TOKEN_LIFETIME_SECONDS": "60", "MCP_ALLOWED_HOSTS": "host.docker.internal", "AUTH_ISUER": "x"}


@dataclass(frozen=True)
class Run:
    """A stack that `local-stack run` started with `GIVEN`, and the folder in which other commands run."""

    folder: Path
    ports: StackPorts
    card: str

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return command(self.folder, *arguments, **environment)


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**without_settings(os.environ), **environment}
    return run_command("local-stack", *arguments, environment=variables, folder=folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder, ports = tmp_path_factory.mktemp("run"), StackPorts.ephemeral()
    with running(folder, ports, **GIVEN) as (_supervisor, card):
        yield Run(folder, ports, "".join(card))


def test_the_card_names_the_audit_page_and_no_ports(run: Run) -> None:
    assert f"http://localhost:{run.ports.mcp}/audit" in run.card
    assert "AUTH_PORT" not in run.card


def test_a_given_setting_is_passed_to_auth_service(run: Run) -> None:
    printed = run.command("token", "--scope", "mcp.access mcp.decrypt")
    claims = httpx2.Response(200, content=jws.extract_compact(printed.stdout.strip().encode()).payload).json()
    assert claims["exp"] - claims["iat"] == 60
    assert claims["scope"] == "mcp.access mcp.decrypt"


def test_a_service_logs_an_unknown_setting(run: Run) -> None:
    log = (run.folder / ".run/logs/auth-service.log").read_text(encoding="utf-8")
    assert "NOTICE: AUTH_ISUER is not a setting and has no effect; did you mean AUTH_ISSUER?" in log


def test_a_given_setting_is_passed_to_the_resource_service(run: Run) -> None:
    statuses = {
        host: httpx2.get(f"http://localhost:{run.ports.mcp}/hello", headers={"Host": host}).status_code
        for host in ("host.docker.internal:8082", "elsewhere.example")
    }
    assert statuses == {"host.docker.internal:8082": 401, "elsewhere.example": 421}


def test_the_demo_finds_the_stack_on_its_ports(run: Run) -> None:
    played = run.command("demo")
    assert (played.returncode, "✗" in played.stdout) == (0, False), played.stdout


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [(("auth-service", "user", "list"), "demo"), (("mcp-resource-service", "doctor"), "can be written")],
)
def test_an_admin_command_works_without_variables(run: Run, arguments: tuple[str, ...], shown: str) -> None:
    done = run.command("admin", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


def test_changes_by_admin_commands_are_recorded_in_the_journal_of_the_service(run: Run) -> None:
    assert run.command("admin", "auth-service", "client", "create", "made-by-admin").returncode == 0
    lines = f'eval "$({COMMAND[0]} env)"; {BIN}/auth-service client create made-by-export'
    subprocess.run(["bash", "-euc", lines], cwd=run.folder, env=without_settings(os.environ), check=True)
    verified = run.command("admin", "security-common", "audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "intact" in verified.stdout


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (("--help",), "Usage: local-stack admin"),
        (("auth-service", "--help"), "Usage: auth-service COMMAND"),
        (("auth-service", "key", "revoke", "--help"), "Usage: auth-service key revoke"),
        (("security-common", "audit", "verify", "-h"), "Usage: security-common audit verify"),
    ],
)
def test_help_after_a_command_shows_the_help_of_the_command(run: Run, arguments: tuple[str, ...], usage: str) -> None:
    shown = run.command("admin", *arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(usage)


def test_an_unknown_admin_command_is_an_error_with_a_hint(run: Run) -> None:
    refused = run.command("admin", "user", "list")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: there is no such command\nhint: the first word is one of auth-service, ")


def test_a_running_stack_is_not_reset(run: Run) -> None:
    refused = run.command("reset", YES="1")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (
        1,
        "error: another stack already uses this state folder",
    )


SNIPPETS = """
import asyncio
from security_common import get_encryption_service, secure_tool

service = get_encryption_service()
print(service.decrypt(service.encrypt("고객 이메일: customer@company.com")))

@secure_tool(requires_encryption=True, log_access=True, pii_policy="encrypt")
async def process_customer_data(customer_info: str, client_id: str, user_id: str) -> dict[str, str]:
    return {"data": customer_info}

print(asyncio.run(process_customer_data("010-1234-5678", client_id="mcp-client", user_id="u_example")))
"""


def test_local_stack_env_creates_keys_before_the_first_run(tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-euc", f'eval "$({COMMAND[0]} env)"; {sys.executable} -'],
        input=SNIPPETS,
        cwd=folder,
        env=without_settings(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "고객 이메일: customer@company.com" in done.stdout
    assert "enc:v1:" in done.stdout
    assert (folder / ".run").stat().st_mode & 0o777 == 0o700


def test_no_stack_is_running(tmp_path: Path) -> None:
    auth, mcp = free_ports(2)
    refused = command(tmp_path, "demo", AUTH_PORT=str(auth), MCP_PORT=str(mcp))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: nothing answers at http://localhost:{auth}\nhint: start it first")


def test_a_failing_admin_command_explains_how_to_start_the_stack(tmp_path: Path) -> None:
    auth, mcp, redis = map(str, free_ports(3))
    refused = command(tmp_path, "admin", "auth-service", "user", "list", AUTH_PORT=auth, MCP_PORT=mcp, REDIS_PORT=redis)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: Redis at redis://127.0.0.1:{redis}/0 cannot be reached\nhint: ")
    assert refused.stderr.endswith(f"\nhint: nothing answers at http://localhost:{auth}; start it first: make run\n")


def test_the_program_on_the_port_does_not_speak_http(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet_once, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        refused = command(tmp_path, "demo", AUTH_PORT=str(port), MCP_PORT=str(port))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: the program at http://localhost:{port} does not answer HTTP")
    assert "\nhint: " in refused.stderr
    assert "Traceback" not in refused.stderr


def _greet_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(b"220 mail.example ESMTP\r\n")


class TestReset:
    def test_it_says_what_it_deletes_and_refuses_without_a_terminal(self, tmp_path: Path) -> None:
        (tmp_path / ".run/secrets").mkdir(parents=True)
        refused = command(tmp_path, "reset")
        assert refused.returncode == 1
        assert "the audit trail" in refused.stderr
        assert str(tmp_path / ".run") in refused.stderr
        assert refused.stderr.endswith("hint: YES=1 make reset\n")
        assert (tmp_path / ".run/secrets").exists()

    def test_a_script_says_yes(self, tmp_path: Path) -> None:
        (tmp_path / ".run/secrets").mkdir(parents=True)
        assert command(tmp_path, "reset", YES="1").returncode == 0
        assert not (tmp_path / ".run").exists()

    @pytest.mark.parametrize(("answer", "is_deleted"), [("y", True), ("n", False), ("", False)])
    def test_a_person_is_asked(self, tmp_path: Path, answer: str, is_deleted: bool) -> None:
        (tmp_path / ".run/secrets").mkdir(parents=True)
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "wb", buffering=0) as keyboard:
            started = subprocess.Popen([*COMMAND, "reset"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
            keyboard.write(f"{answer}\n".encode())
            assert started.wait(timeout=30) == (0 if is_deleted else 1)
            os.close(theirs)
        assert (tmp_path / ".run").exists() is not is_deleted


def test_an_invalid_setting_is_reported_with_the_message_of_the_service(tmp_path: Path) -> None:
    earlier = tmp_path / ".run/logs/auth-service.log"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("error: of an earlier start\nhint: of long ago\n")
    given = environment(StackPorts.ephemeral(), AUTH_CODE_LIFETIME_SECONDS="soon", AUTH_CODE_LIFETIME="60")
    refused = command(tmp_path, "run", **given)
    assert refused.returncode == 1
    notice, error, hint = refused.stderr.splitlines()
    assert notice.endswith("did you mean AUTH_CODE_LIFETIME_SECONDS?")
    assert error.startswith("error: auth-service: AUTH_CODE_LIFETIME_SECONDS: Input should be a valid integer")
    assert hint == "hint: docs/configuration.md describes every setting"


def test_a_damaged_state_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run/stack.json").write_text("[]")
    refused = command(tmp_path, "token")
    assert refused.returncode == 1
    assert refused.stderr.endswith("stack.json cannot be read\nhint: delete it; the next make run writes it again\n")
