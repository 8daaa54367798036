"""The processes of programs: what they may see and use, and that nothing of them is left when they are ended."""

import json
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from gateway_processes import Shell, wait_until_ready
from program_upstreams import pid_of, pids_of, program, supervisors_of, wait_until, wait_until_ended
from upstream_servers import PHONE

from gateway_service.app import create_app
from gateway_service.declaration import DeclarationInvalid, load_declaration
from gateway_service.settings import GatewaySettings
from local_stack.loopback_issuer import LoopbackIssuer
from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer
from security_common.cli.setup import make_secrets
from security_common.settings import SettingInvalid

pytestmark = pytest.mark.anyio

SECRET = "s3cret-of-the-gateway"


async def test_a_program_sees_nothing_of_the_gateways_environment(
    start_gateway: Callable[..., Awaitable[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURITY_EXAMPLE", SECRET)
    (tmp_path / "api_key").write_text("key-of-the-program\n")
    members = program(env={"MODE": "test"}, env_files={"API_KEY": "api_key"})
    gateway = await start_gateway({"crm": members})
    await gateway.wait_until_listed("crm")
    seen = json.loads((await gateway.call("crm_environment")).text)
    variables = seen["variables"]
    assert {"PATH", "LANG", "HOME", "TMPDIR", "MODE", "API_KEY"} <= set(variables)
    # The C library and Python set these themselves.
    assert set(variables) <= {"PATH", "LANG", "HOME", "TMPDIR", "MODE", "API_KEY", "LC_CTYPE", "PWD", "SHLVL", "_"}
    assert (variables["MODE"], variables["API_KEY"]) == ("test", "key-of-the-program")
    assert seen["folder"] == str(tmp_path)
    assert seen["stores"] == {"HOME": 0, "TMPDIR": 0}
    pid = pid_of((await gateway.call("crm_count")).text.split()[-1])
    for process in (pid, *supervisors_of(pid)):
        assert SECRET.encode() not in read_of(process, "environ")
        assert b"key-of-the-program" not in read_of(process, "cmdline")


def read_of(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


async def test_each_instance_has_private_folders_that_are_removed(
    start_gateway: Callable[..., Awaitable[Any]], gateway_stack: AsyncExitStack
) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    answers = [await gateway.call("crm_environment", token=gateway.token(sub=sub)) for sub in ("u_1", "u_2")]
    homes = {Path(json.loads(answer.text)["variables"]["HOME"]) for answer in answers}
    assert len(homes) == 2
    assert all(home.stat().st_mode & 0o777 == 0o700 for home in homes)
    await gateway_stack.aclose()
    assert not any(home.parent.exists() for home in homes)


@pytest.fixture
def more_than_1024_open_files() -> Iterator[None]:
    """Opens as many files as a gateway with many connections has."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    assert max(opened) >= 1024
    try:
        yield
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("more_than_1024_open_files")
async def test_a_program_runs_and_ends_while_many_files_are_open(
    start_gateway: Callable[..., Awaitable[Any]], gateway_stack: AsyncExitStack
) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    pids = pids_of((await gateway.call("crm_processes")).text)
    await gateway_stack.aclose()
    await wait_until_ended(pids)


async def test_children_with_sessions_of_their_own_end_with_the_program(
    start_gateway: Callable[..., Awaitable[Any]], gateway_stack: AsyncExitStack
) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    pids = pids_of((await gateway.call("crm_processes")).text)
    assert len({os.getsid(pid) for pid in pids}) == 3
    await gateway_stack.aclose()
    await wait_until_ended(pids)


async def test_children_end_when_the_program_is_killed(start_gateway: Callable[..., Awaitable[Any]]) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    pids = pids_of((await gateway.call("crm_processes")).text)
    os.kill(pids[0], signal.SIGKILL)
    await wait_until_ended(pids)


@pytest.mark.parametrize("killed", [0, 1])
async def test_everything_ends_when_supervisor_or_guardian_is_killed(
    start_gateway: Callable[..., Awaitable[Any]], killed: int
) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    pids = pids_of((await gateway.call("crm_processes")).text)
    above = supervisors_of(pids[0])
    os.kill(above[killed], signal.SIGKILL)
    await wait_until_ended([*pids, *above])
    assert (await gateway.call("crm_echo", {"text": "again"})).text == "again"


async def test_a_program_that_ignores_its_end_is_killed(
    start_gateway: Callable[..., Awaitable[Any]], gateway_stack: AsyncExitStack
) -> None:
    gateway = await start_gateway({"crm": program("--stubborn")})
    await gateway.wait_until_listed("crm")
    pid = pid_of((await gateway.call("crm_count")).text.split()[-1])
    began = time.monotonic()
    await gateway_stack.aclose()
    assert time.monotonic() - began >= 4  # two seconds after its input was closed, and two after SIGTERM
    await wait_until_ended([pid])


async def test_an_idle_instance_is_ended(start_gateway: Callable[..., Awaitable[Any]]) -> None:
    gateway = await start_gateway({"crm": program(run={"idle": "400ms"})})
    await gateway.wait_until_listed("crm")
    pid = pid_of((await gateway.call("crm_count")).text.split()[-1])
    await wait_until_ended([pid])
    assert pid_of((await gateway.call("crm_count")).text.split()[-1]) != pid


LIMITED = {
    "processes": ({"processes": 20}, "fork", {"count": 400}),
    "memory": ({"memory": "128MiB"}, "use_memory", {"processes": 8, "size": 40_000_000}),
}


@pytest.mark.parametrize("kind", LIMITED)
async def test_a_program_that_uses_too_much_is_ended(
    start_gateway: Callable[..., Awaitable[Any]], kind: str, tmp_path: Path
) -> None:
    run, tool, arguments = LIMITED[kind]
    gateway = await start_gateway({"crm": program(run=run, timeout="60s")})
    await gateway.wait_until_listed("crm")
    before = set(processes_in(tmp_path))
    answer = await gateway.call(f"crm_{tool}", arguments)
    assert answer.text.startswith("upstream_unavailable: crm is unavailable")
    assert gateway.events()[-1]["reason"] == "upstream_unavailable"
    await wait_until(lambda: set(processes_in(tmp_path)) <= before)
    assert (await gateway.call("crm_echo", {"text": "again"})).text == "again"


def processes_in(folder: Path) -> list[int]:
    """The processes whose working directory this is."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_in = process.joinpath("cwd").readlink() == folder
        except OSError:
            continue
        if is_in:
            found.append(int(process.name))
    return found


async def test_standard_error_is_logged_masked_and_cut(start_gateway: Callable[..., Awaitable[Any]]) -> None:
    gateway = await start_gateway({"crm": program()})
    await gateway.wait_until_listed("crm")
    with structlog.testing.capture_logs() as logs:
        await gateway.call("crm_log", {"text": f"called {PHONE} {'x' * 2000}", "lines": 100})
        await wait_until(lambda: len(logged(logs)) >= 60)
        await gateway.call("crm_echo")
    texts = logged(logs)
    assert len(texts) == 60  # of which the rest is only counted
    assert {text[:21] for text in texts} == {"called 010-****-5678 "}
    assert {len(text) for text in texts} == {500}


def logged(logs: list[Any]) -> list[str]:
    return [entry["text"] for entry in logs if entry["event"] == "program_stderr"]


def test_a_program_for_several_people_has_to_be_trusted(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"

    def start(issuer: str, **run: str) -> None:
        file.write_text(yaml.safe_dump({"upstreams": {"crm": program(run=run)}}))
        settings = GatewaySettings(
            upstreams=file, issuer=issuer, resource="https://mcp.example.com/mcp", security={"audit_dir": tmp_path}
        )
        create_app(settings, load_declaration(file, {}))

    with pytest.raises(DeclarationInvalid, match="crm is a program") as raised:
        start("https://auth.example.com")
    assert "gateway-service bridge" in raised.value.hint
    start("https://auth.example.com", trust="same-user")


def test_a_program_is_refused_with_several_workers(tmp_path: Path) -> None:
    """Each worker would start the program of a caller once more."""
    make_secrets(tmp_path / "secrets")
    file = tmp_path / "gateway.yaml"
    security = {"audit_dir": tmp_path, "encryption_key_file": tmp_path / "secrets/mcp/data_keyring"}

    def start(workers: int, upstream: dict[str, Any]) -> None:
        file.write_text(yaml.safe_dump({"upstreams": {"crm": upstream}}))
        create_app(GatewaySettings(upstreams=file, workers=workers, security=security), load_declaration(file, {}))

    with pytest.raises(DeclarationInvalid, match="crm is a program, which 2 workers would each start") as raised:
        start(2, program())
    assert "GATEWAY_WORKERS=1" in raised.value.hint
    start(1, program())
    start(2, {"url": "http://localhost:9/mcp"})


def test_several_workers_need_a_key_for_what_they_seal() -> None:
    with pytest.raises(SettingInvalid, match="several GATEWAY_WORKERS need a key"):
        GatewaySettings(workers=2)


@pytest.fixture
async def shell(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Shell]:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump({"upstreams": {"crm": program()}}))
    make_secrets(tmp_path / "secrets")
    (port,) = free_ports(1)
    async with LoopbackIssuer(now=time.time) as issuer:
        resource = f"http://localhost:{port}/mcp"
        started = Shell(
            {
                "GATEWAY_UPSTREAMS": str(file),
                "GATEWAY_RESOURCE": resource,
                "GATEWAY_PORT": str(port),
                "GATEWAY_ISSUER": issuer.url,
                "GATEWAY_REDIS_URL": redis_server.url,
                "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
                "SECURITY_AUDIT_CHAIN_KEY_FILE": str(tmp_path / "secrets/mcp/audit_chain_key"),
                "TOKEN": issuer.token(aud=resource),
            }
        )
        yield started
        await started.stop_all()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_nothing_is_left_when_the_gateway_is_killed(shell: Shell, number: signal.Signals) -> None:
    process = await shell.start("serve")
    await wait_until_ready(process, shell.variables["GATEWAY_RESOURCE"].replace("/mcp", "/readyz"))
    called = await shell.run("call", "crm_processes", given=shell.variables["TOKEN"])
    pids = pids_of(json.loads(called.out)["content"][0]["text"])
    above = supervisors_of(pids[0])
    process.send_signal(number)
    await process.wait()
    await wait_until_ended([*pids, *above])


async def test_tools_lists_those_of_a_program_and_ends_it(shell: Shell, tmp_path: Path) -> None:
    listed = await shell.run("tools")
    assert listed.status == 0, listed.err
    assert "crm_echo" in listed.out
    assert processes_in(tmp_path) == []


async def test_doctor_reports_what_programs_may_do(shell: Shell, tmp_path: Path) -> None:
    upstreams = {
        "crm": program(),
        "none": {"command": "no-such-program-anywhere", "cwd": "none"},
        "npx": {"command": "npx", "args": ["-y", "server"]},
        "pinned": {"command": "npx", "args": ["-y", "server@1.2.3"]},
        "closed": program(run={"network": "none"}),
    }
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump({"upstreams": upstreams}))
    (tmp_path / "bin").mkdir()
    shell.variables["PATH"] = str(tmp_path / "bin")  # without bubblewrap, and without npx
    examined = await shell.run("doctor", "--json")
    results = {each["what"]: each for each in json.loads(examined.out)}
    assert results["none: the program no-such-program-anywhere is not found"]["ok"] is False
    assert results[f"none: its folder {tmp_path}/none does not exist"]["ok"] is False
    assert results["npx: npx runs the newest release at each start"]["warning"] is True
    assert not any(what.startswith("pinned: npx runs") for what in results)
    assert any(what.startswith("closed: `network`, `read` and `write` need") for what in results)
    assert any(what.startswith("programs: they run without a sandbox") for what in results)


async def test_doctor_keeps_reporting_programs_that_are_trusted(shell: Shell, tmp_path: Path) -> None:
    shell.variables["GATEWAY_RESOURCE"] = "https://mcp.example.com/mcp"
    refused = await shell.run("doctor")
    assert "crm is a program, which runs as the user of the gateway" in refused.out
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump({"upstreams": {"crm": program(run={"trust": "same-user"})}}))
    examined = await shell.run("doctor")
    assert "crm: the program runs for every caller as the user of the gateway (`trust: same-user`)" in examined.out
