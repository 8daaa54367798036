"""Runs every `run` block of the README, in order and in one shell session, against the stack of its first block."""

import itertools
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.fences import Fence, read_fences
from local_stack.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
MARK = "=== block of line"


@pytest.fixture(scope="module")
def environment(checkout: Path) -> dict[str, str]:
    auth, mcp, redis = free_ports(3)
    return {**os.environ, "PWD": str(checkout), "AUTH_PORT": str(auth), "MCP_PORT": str(mcp), "REDIS_PORT": str(redis)}


def translate(text: str, environment: dict[str, str]) -> str:
    return text.replace(":8081", f":{environment['AUTH_PORT']}").replace(":8082", f":{environment['MCP_PORT']}")


@pytest.fixture(scope="module")
def transcript(checkout: Path, environment: dict[str, str]) -> Iterator[dict[int, str]]:
    """The output of each block, by its line in the README."""
    # A separate session, so that Ctrl-C can be sent to all its processes, as a terminal does.
    with subprocess.Popen(
        ["make", "run"], cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        try:
            assert started.stdout is not None
            card = next((line for line in started.stdout if "Ctrl-C" in line), None)
            assert card is not None, "make run ended before it printed its card"
            yield run_blocks(checkout, environment)
        finally:
            os.killpg(started.pid, signal.SIGINT)
            started.wait(timeout=20)


def run_blocks(checkout: Path, environment: dict[str, str]) -> dict[int, str]:
    played = subprocess.run(
        ["bash", "-eu"],
        input=session(environment),
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    assert [line for line in played.stderr.splitlines() if "Warning: " in line] == []
    parts = re.split(rf"^{MARK} (\d+)$", played.stdout, flags=re.MULTILINE)
    return {int(line): text for line, text in zip(parts[1::2], parts[2::2], strict=True)}


def commands() -> list[Fence]:
    """The `run` blocks except the first two: the fixture starts `make run`, and `make test` runs this test."""
    return [fence for fence in read_fences(ROOT / "README.md") if "run" in fence.tags][2:]


def session(environment: dict[str, str]) -> str:
    """The blocks as one shell script. A Python block is saved with the name from its `file:` tag."""
    lines: list[str] = []
    for fence in commands():
        text = translate(fence.text, environment)
        if fence.file_name:
            text = f"cat > {fence.file_name} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\n"
        lines.append(f"printf '\\n{MARK} {fence.line}\\n'\n{text}")
    return "\n".join(lines)


def promises() -> list[tuple[int, str]]:
    """Each line of an `output` block, with the line number of the command block before it."""
    fences = read_fences(ROOT / "README.md")
    return [
        (command.line, promised)
        for command, output in itertools.pairwise(fences)
        if "run" in command.tags and "output" in output.tags
        for promised in output.text.splitlines()
    ]


@pytest.mark.parametrize(("line", "promised"), promises())
def test_the_output_contains_the_documented_line(line: int, promised: str, transcript: dict[int, str]) -> None:
    assert promised in transcript[line]


def test_the_audit_trail_of_the_session_is_intact(
    checkout: Path, environment: dict[str, str], transcript: dict[int, str]
) -> None:
    """Includes the journal of `protect.py`, which is not a service and has no keys below `.run/secrets`."""
    command = ["make", "-s", "admin", "ARGS=security-common audit verify"]
    verified = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert {line.partition(":")[0] for line in verified.stdout.splitlines()} >= {"auth-service", "security-common"}


def test_every_command_ran(transcript: dict[int, str]) -> None:
    assert sorted(transcript) == [fence.line for fence in commands()]


def test_the_migration_table_for_the_original_demo(
    checkout: Path, environment: dict[str, str], transcript: dict[int, str]
) -> None:
    """Each new command in README.ko.md's migration table works; the commands for starting and testing run elsewhere."""
    rows = re.findall(r"^\| `.+?` \| `(.+?)` \| [^|]+ \|$", (ROOT / "README.ko.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 12
    # Other tests start the stack and the containers, and this test runs in `make test`.
    elsewhere = re.compile(r"make run$|make test$|make demo$|docker |az ")
    for command in dict.fromkeys(rows):
        if not elsewhere.search(command):
            text = translate(command, environment)
            subprocess.run(["bash", "-euc", text], cwd=checkout, env=environment, check=True, capture_output=True)


def test_the_old_root_still_answers_401(environment: dict[str, str], transcript: dict[int, str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://localhost:{environment['AUTH_PORT']}/")
    with refused.value:
        assert refused.value.code == 401
        assert environment["MCP_PORT"] in refused.value.read().decode()
