"""Every command explains a missing or broken dependency with an `error:` and a `hint:` line, without a traceback.

The commands are read from the programs themselves, so that a new one is covered without a change here.
"""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import pytest
from cyclopts import App

import auth_service.cli
import mcp_resource_service.cli
import security_common.cli
from auth_service.cli.commands import app as auth_app
from local_stack.command_server import run_command
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from mcp_resource_service.cli.commands import app as mcp_app
from security_common.cli import app as library_app
from security_common.cli.setup import make_secrets

MAINS = {
    "auth-service": (auth_app, auth_service.cli.main),
    "mcp-resource-service": (mcp_app, mcp_resource_service.cli.main),
    "security-common": (library_app, security_common.cli.main),
}
SERVICES = {"auth-service": "AUTH", "mcp-resource-service": "MCP"}
PASSWORD = "correct horse battery"


def commands_of(app: App, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    names = [name for name in app if not name.startswith("-")]
    if app.default_command is not None and not names:
        yield path
    for name in names:
        yield from commands_of(app[name], (*path, name))


COMMANDS = [command for name, (app, _) in MAINS.items() for command in commands_of(app, (name,))]
SHORT_COMMANDS = [command for command in COMMANDS if command[-1] != "serve"]


def command_app(command: tuple[str, ...]) -> App:
    app = MAINS[command[0]][0]
    for name in command[1:]:
        app = app[name]
    return app


@pytest.fixture(scope="session")
def strict_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis with two users: `denied` may only connect, `auth` has a password that is not known to the test."""
    directory = tmp_path_factory.mktemp("strict-redis")
    acl = directory / "users.acl"
    users = "user default off", "user denied on nopass -@all +ping +hello +client", "user auth on >unknown ~* +@all"
    acl.write_text("\n".join(users) + "\n")
    (port,) = free_ports(1)
    with RedisServer(directory / "data", port, acl):
        yield f"127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def silent_port() -> Iterator[int]:
    """Accepts connections and never answers, as a suspended server does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    make_secrets(directory)
    return directory


@pytest.fixture(scope="session")
def open_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    (port,) = free_ports(1)
    with RedisServer(tmp_path_factory.mktemp("open-redis"), port) as server:
        yield server.url


@pytest.fixture
def environment(secrets: Path, open_redis: str, tmp_path: Path) -> dict[str, str]:
    """Complete settings of both services, with a running Redis and without running services."""
    auth_port, mcp_port = free_ports(2)
    return {
        "AUTH_DEMO": "true",
        "AUTH_ISSUER": f"http://localhost:{auth_port}",
        "AUTH_PORT": str(auth_port),
        "AUTH_REDIS_URL": open_redis,
        "AUTH_SIGNING_KEY_KEK_FILE": str(secrets / "auth/signing_key_kek"),
        "AUTH_SECRET_PEPPER_FILE": str(secrets / "auth/secret_pepper"),
        "AUTH_COOKIE_KEY_FILE": str(secrets / "auth/cookie_key"),
        "MCP_PORT": str(mcp_port),
        "MCP_ISSUER": f"http://localhost:{auth_port}",
        "MCP_REDIS_URL": open_redis,
        "MCP_COOKIE_KEY_FILE": str(secrets / "mcp/cookie_key"),
        "MCP_AUDIT_PAGE_PRIVATE_KEY_FILE": str(secrets / "mcp/audit_page_private_key.json"),
        "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
        "SECURITY_AUDIT_CHAIN_KEY_FILE": str(secrets / "mcp/audit_chain_key"),
        "SECURITY_AUDIT_CHECKPOINT_KEY_FILE": str(secrets / "mcp/audit_checkpoint_key.pem"),
        "SECURITY_ENCRYPTION_KEY_FILE": str(secrets / "mcp/data_keyring"),
        "SECURITY_PSEUDONYM_KEY_FILE": str(secrets / "mcp/pseudonym_key"),
    }


Environment = dict[str, str]
Fault = Callable[[Environment, Path, pytest.FixtureRequest], None]


def no_redis(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    (port,) = free_ports(1)
    use_redis(environment, f"redis://127.0.0.1:{port}/0", None)


def wrong_password(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    (folder / "wrong").write_text("wrong")
    use_redis(environment, f"redis://auth@{request.getfixturevalue('strict_redis')}", folder / "wrong")


def denied_by_acl(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    use_redis(environment, f"redis://denied@{request.getfixturevalue('strict_redis')}", None)


def not_a_redis_url(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    use_redis(environment, "127.0.0.1:6379", None)


def use_redis(environment: Environment, url: str, password_file: Path | None) -> None:
    for prefix in SERVICES.values():
        environment[f"{prefix}_REDIS_URL"] = url
        if password_file:
            environment[f"{prefix}_REDIS_PASSWORD_FILE"] = str(password_file)


def secrets_missing(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    name_secrets(environment, folder / "nowhere")


def secrets_are_folders(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    name_secrets(environment, folder)


def secrets_malformed(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    (folder / "malformed").write_bytes(b"\xff\xfe\x00 not a key")
    name_secrets(environment, folder / "malformed")


def secrets_of_another_kind(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    (folder / "other").write_text('{"keyring": "of another program"}')
    name_secrets(environment, folder / "other")


def name_secrets(environment: Environment, path: Path) -> None:
    for name in environment:
        if name.endswith("_FILE"):
            environment[name] = str(path)
    environment["AUTH_REDIS_PASSWORD_FILE"] = environment["MCP_REDIS_PASSWORD_FILE"] = str(path)


def audit_folder_unwritable(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    (folder / "file").write_text("")
    environment["SECURITY_AUDIT_DIR"] = str(folder / "file" / "audit")


def files_malformed(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    (folder / "auth.yaml").write_text("clients: [")
    (folder / "pii.toml").write_text("[[[")
    environment["AUTH_CONFIG"] = str(folder / "auth.yaml")
    environment["SECURITY_PII_CONFIG_FILE"] = str(folder / "pii.toml")
    environment["MCP_TRUSTED_ISSUERS"] = "{"


FAULTS: tuple[Fault, ...] = (
    no_redis,
    wrong_password,
    denied_by_acl,
    not_a_redis_url,
    secrets_missing,
    secrets_are_folders,
    secrets_malformed,
    secrets_of_another_kind,
    audit_folder_unwritable,
    files_malformed,
)


def arguments_for(command: tuple[str, ...], folder: Path) -> list[str]:
    """A value for each required argument. Files exist and have content that cannot be parsed."""
    sample = folder / "sample"
    sample.write_bytes(b"\xff{")
    found: list[str] = []
    for argument in command_app(command).assemble_argument_collection():
        name, kind = argument.name, str(argument.hint)
        if name == "--password-stdin":
            found.append(name)
        elif argument.required:
            value = str(sample) if "Path" in kind else "2026-11-01" if "datetime" in kind else "sample"
            positional = argument.field_info.kind is not argument.field_info.KEYWORD_ONLY
            found += [value] if positional else [name, value]
    return found


def run_here(
    command: tuple[str, ...], arguments: list[str], patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Runs a command in this process; returns its exit status and what it printed."""
    patch.setattr(sys, "argv", [*command, *arguments])
    patch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    capture.readouterr()
    sigpipe_handler = signal.getsignal(signal.SIGPIPE)
    try:
        MAINS[command[0]][1]()
    except SystemExit as end:
        status = end.code
    else:
        status = 0
    printed = capture.readouterr()
    assert isinstance(status, int)
    assert signal.getsignal(signal.SIGPIPE) == sigpipe_handler, "a later write to a closed pipe would end this process"
    return status, printed.out, printed.err


def assert_explained(status: int, out: str, err: str) -> None:
    """Asserts success, or an error with a hint. The doctor prints hints with its results."""
    assert "Traceback" not in out + err
    assert "internal error" not in err
    if status and "hint: " not in out:
        lines = err.splitlines()
        assert any(line.startswith("error: ") for line in lines), err
        assert any(line.startswith("hint: ") and len(line) > len("hint: ") for line in lines), err


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_command_explains_what_is_wrong(
    fault: Fault,
    environment: Environment,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fault(environment, tmp_path, request)
    for name in [name for name in os.environ if name.startswith(("AUTH_", "MCP_", "SECURITY_"))]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    failed = 0
    for command in SHORT_COMMANDS:
        status, out, err = run_here(command, arguments_for(command, tmp_path), monkeypatch, capsys)
        try:
            assert_explained(status, out, err)
        except AssertionError as problem:
            raise AssertionError(f"{' '.join(command)} ended with {status}:\n{out}{err}") from problem
        failed += status != 0
    assert failed >= 2, "the fault had no effect"


@pytest.mark.parametrize(
    "words",
    [
        ("auth-service", "user", "list"),
        ("mcp-resource-service", "user", "import", "people.jsonl"),
        ("security-common", "audit", "search"),
    ],
    ids=" ".join,
)
def test_commands_do_not_wait_for_a_redis_that_does_not_answer(
    words: tuple[str, ...], environment: Environment, silent_port: int, tmp_path: Path
) -> None:
    use_redis(environment, f"redis://127.0.0.1:{silent_port}/0", None)
    (tmp_path / "people.jsonl").write_text('{"name": "홍길동", "email": "hong@example.com"}\n')
    done = run_program(*words, environment=environment, folder=tmp_path)
    assert done.returncode in {1, 2}
    assert "does not respond in time" in done.stderr
    assert_explained(done.returncode, done.stdout, done.stderr)


def run_program(*words: str, environment: Environment, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process without a terminal."""
    return run_command(*words, environment={"PATH": os.environ["PATH"], **environment}, folder=folder)


def generate_keys(output: TextIO) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("security-common"))
    command = [program, "keys", "generate"]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def metrics_port_taken(environment: Environment, folder: Path, request: pytest.FixtureRequest) -> None:
    port = str(request.getfixturevalue("silent_port"))
    environment["AUTH_METRICS_PORT"] = environment["MCP_METRICS_PORT"] = port


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "fault", [secrets_missing, audit_folder_unwritable, metrics_port_taken], ids=lambda fault: fault.__name__
)
def test_a_service_that_cannot_start_explains_why(
    service: str, fault: Fault, environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fault(environment, tmp_path, request)
    done = run_program(service, "serve", environment=environment)
    assert done.returncode == 1
    assert_explained(done.returncode, done.stdout, done.stderr)


def test_a_password_needs_a_terminal_or_a_pipe(environment: Environment) -> None:
    done = run_program("auth-service", "user", "add", "hong", environment=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no terminal")
    assert "\nhint: " in done.stderr
    assert "--password-stdin" in done.stderr


@pytest.mark.parametrize("program", MAINS)
def test_the_version_is_that_of_the_installed_distribution(program: str, monkeypatch, capsys) -> None:
    status, out, _ = run_here((program,), ["--version"], monkeypatch, capsys)
    assert (status, out.strip()) == (0, version(f"mcp-oauth2-{program}"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...], monkeypatch, capsys) -> None:
    status, out, _ = run_here(command, ["--help"], monkeypatch, capsys)
    assert status == 0
    assert " ".join(command) in " ".join(out.partition("xample:")[2].split())


@pytest.mark.parametrize("group", sorted({command[:end] for command in COMMANDS for end in range(1, len(command))}))
def test_a_group_without_a_command_prints_its_help(group: tuple[str, ...], monkeypatch, capsys) -> None:
    status, out, err = run_here(group, [], monkeypatch, capsys)
    assert (status, err) == (0, "")
    assert f"Usage: {' '.join(group)}" in out


@pytest.mark.parametrize("words", [("nothing",), ("--nothing",)])
@pytest.mark.parametrize("program", MAINS)
def test_wrong_usage_is_explained_too(program: str, words: tuple[str, ...], monkeypatch, capsys) -> None:
    status, out, err = run_here((program,), list(words), monkeypatch, capsys)
    assert status == 2
    assert_explained(status, out, err)
    assert f"hint: `{program} --help`" in err


def test_output_to_a_full_disk_is_explained() -> None:
    with Path("/dev/full").open("w") as full:
        done = generate_keys(full)
    assert done.returncode == 2
    assert done.stderr.startswith("error: No space left on device\nhint: ")


def test_a_closed_pipe_ends_a_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = generate_keys(closed)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.usefixtures("sigint_not_ignored")
@pytest.mark.parametrize("words", [("auth-service", "user", "list"), ("security-common", "audit", "search")])
def test_ctrl_c_ends_a_command_quietly(environment: Environment, words: tuple[str, ...]) -> None:
    program = str(Path(sys.executable).with_name(words[0]))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        use_redis(environment, f"redis://127.0.0.1:{listener.getsockname()[1]}/0", None)
        process = subprocess.Popen(
            [program, *words[1:]],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = listener.accept()  # the command has started and waits for a response
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, out, err) == (130, "", "")
