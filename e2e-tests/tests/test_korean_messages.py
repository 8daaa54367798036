"""What the commands print under a Korean locale. The catalogues have the same messages as the code."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App

import auth_service.cli.commands
import gateway_service.cli.commands
import local_stack.cli
import mcp_resource_service.cli.commands
import security_common.cli
from local_stack.demo_scenario import STEPS
from local_stack.messages import CATALOGUES
from local_stack.notices import start_notices
from local_stack.ports import StackPorts
from local_stack.stack import Stack
from local_stack.start_message import container_message, start_message
from security_common.messages import read_catalogue, translate_message
from security_common.service import CheckResult, print_check_results
from security_common.service.doctor import check_clock

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "local-stack/src",
    "shared-security/src",
    "auth-service/src",
    "mcp-resource-service/src",
    "gateway-service/src",
)
ALL_CATALOGUES = (*CATALOGUES, "auth_service.cli", "mcp_resource_service.cli", "gateway_service.cli")
KOREAN = {"LANG": "ko_KR.UTF-8"}
HANGUL = re.compile("[가-힣]")
PARAMETER_DESCRIPTION = re.compile(r"(?:^ {8}\S.*\n)+", re.MULTILINE)
PART = re.compile(r"(\{\w*\})+")


def translate(message: str) -> str:
    return translate_message(message, CATALOGUES, KOREAN)


def texts_in_source() -> Iterator[str]:
    """Every text of the code, with `{}` for the parts of f-strings."""
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def lines_and_paragraphs(text: str) -> list[str]:
    """Messages are translated line by line, and help by paragraphs and descriptions of parameters."""
    blocks = [*text.split("\n\n"), *PARAMETER_DESCRIPTION.findall(text)]
    return [*text.splitlines(), *(" ".join(block.split()) for block in blocks)]


def without_names(message: str) -> str:
    return PART.sub("{}", message).strip()


@cache
def messages_in_source() -> frozenset[str]:
    return frozenset(without_names(line) for text in texts_in_source() for line in lines_and_paragraphs(text))


@pytest.mark.parametrize("package", ALL_CATALOGUES)
def test_every_message_of_the_catalogue_is_in_the_code(package: str) -> None:
    missing = [english for english in read_catalogue(package) if without_names(english) not in messages_in_source()]
    assert missing == []


@pytest.mark.parametrize("package", ALL_CATALOGUES)
def test_both_languages_have_the_same_parts(package: str) -> None:
    for english, korean in read_catalogue(package).items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", korean)), english
        assert HANGUL.search(korean) or english.lower() == korean.lower(), english


@pytest.mark.parametrize("package", ALL_CATALOGUES)
def test_a_message_without_parts_has_its_own_translation(package: str) -> None:
    """Also if a message with parts fits it."""
    for english, korean in read_catalogue(package).items():
        if "{" not in english:
            assert translate_message(english, (package,), KOREAN) == korean


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_step_of_the_demo_is_in_korean(step: object) -> None:
    assert HANGUL.search(translate((step.__doc__ or "").strip()))


def test_the_start_messages_are_in_korean(tmp_path: Path) -> None:
    stack = Stack(StackPorts(), tmp_path)
    for message in (start_message(stack), container_message(stack)):
        lines = [line for line in translate(message).splitlines() if line.strip()]
        assert "  MCP OAuth2가 준비되었습니다." in lines
        assert f"  MCP 서버    {stack.resource}" in lines
        assert "  로그인 계정 demo / demo            (데모 모드)" in lines
        english = [line for line in lines if not HANGUL.search(line)]
        assert [line.split()[0] for line in english] in (["claude"], ["curl", "claude"])


def test_notices_are_in_korean(tmp_path: Path) -> None:
    stack = Stack(StackPorts(), tmp_path, {"AUTH_HOST": "0.0.0.0"})
    environment = {"JWT_SECRET_KEY": "x", "AUTH_ISUER": "http://localhost:8081", "AUTH_XYZ": "1"}
    notices = [translate(notice) for notice in start_notices(stack, environment)]
    assert len(notices) == 4
    assert all(HANGUL.search(notice) and notice.startswith("NOTICE: ") for notice in notices)
    assert "NOTICE: AUTH_ISUER 설정은 없으므로 무시합니다. 혹시 AUTH_ISSUER인가요?" in notices


@pytest.mark.parametrize(
    ("locale", "problem", "hint"),
    [
        ("ko_KR.UTF-8", "error: AUTH_PORT의 값이 올바른 포트 번호가 아닙니다: eighty", "hint: 예: AUTH_PORT=8081"),
        ("C.UTF-8", "error: AUTH_PORT is not a port: eighty", "hint: for example AUTH_PORT=8081"),
    ],
)
def test_errors_are_in_the_language_of_the_locale(tmp_path: Path, locale: str, problem: str, hint: str) -> None:
    command = [str(Path(sys.executable).with_name("local-stack")), "demo"]
    environment = {**os.environ, "LC_ALL": locale, "AUTH_PORT": "eighty"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode("utf-8").splitlines()) == (1, [problem, hint])


@pytest.mark.parametrize(
    ("command", "locale", "problem"),
    [
        ("auth-service client create u_x", "ko_KR.UTF-8", "쓸 수 없는 클라이언트 id입니다: "),
        ("auth-service client create u_x", "C.UTF-8", "this client id is not allowed: "),
        ("gateway-service doctor", "ko_KR.UTF-8", "GATEWAY_UPSTREAMS 설정이 없습니다"),
        ("gateway-service doctor", "C.UTF-8", "GATEWAY_UPSTREAMS is not set"),
    ],
)
def test_errors_of_a_service_are_in_the_language_of_the_locale(command: str, locale: str, problem: str) -> None:
    program, *words = command.split()
    environment = {**os.environ, "LC_ALL": locale}
    environment.pop("GATEWAY_UPSTREAMS", None)
    path = str(Path(sys.executable).with_name(program))
    done = subprocess.run([path, *words], env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode("utf-8").startswith(f"error: {problem}")


def test_check_results_are_in_the_language_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [
        check_clock(7.2, "http://localhost:8081", tolerance_seconds=30),
        CheckResult("redis: Redis at redis://127.0.0.1:6379/0 cannot be reached", ok=True, warning=True, hint="a hint"),
        CheckResult("keys: active, next", ok=True),
    ]
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    print_check_results(results, as_json=False, catalogues=["auth_service.cli"])
    assert capsys.readouterr().out.splitlines() == [
        "ok   시계: http://localhost:8081보다 7초 빠릅니다",
        "warn Redis: Redis(redis://127.0.0.1:6379/0) 오류: 연결할 수 없습니다",
        "     hint: a hint",
        "ok   서명 키: active, next",
    ]
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    print_check_results(results[:1], as_json=False, catalogues=["auth_service.cli"])
    assert capsys.readouterr().out == "ok   clock: 7 s ahead of http://localhost:8081\n"


def untranslated_help(app: App, packages: Sequence[str]) -> Iterator[str]:
    """The short descriptions of an application and of its commands that have no Korean text."""
    short = " ".join(app.help.split("\n\n")[0].split())
    if not HANGUL.search(translate_message(short, packages, KOREAN)):
        yield short
    for name in app:
        if not name.startswith("-"):
            yield from untranslated_help(app[name], packages)


@pytest.mark.parametrize(
    ("app", "packages"),
    [
        (security_common.cli.app, ["security_common"]),
        (local_stack.cli.app, CATALOGUES),
        (auth_service.cli.commands.app, ["auth_service.cli", "security_common"]),
        (mcp_resource_service.cli.commands.app, ["mcp_resource_service.cli", "security_common"]),
        (gateway_service.cli.commands.app, ["gateway_service.cli", "security_common"]),
    ],
    ids=lambda value: value.name[0] if isinstance(value, App) else "",
)
def test_every_command_is_described_in_korean(app: App, packages: Sequence[str]) -> None:
    assert list(untranslated_help(app, packages)) == []


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        (
            "ko_KR.UTF-8",
            ["사용자를 추가합니다. 비밀번호는 명령이 물어봅니다.", "예: auth-service user add", "매개변수"],
        ),
        ("C.UTF-8", ["Add a user. The command asks for the password.", "For example: auth-service user", "Parameters"]),
    ],
)
def test_help_is_in_the_language_of_the_locale(locale: str, expected: list[str]) -> None:
    command = [str(Path(sys.executable).with_name("auth-service")), "user", "add", "--help"]
    done = subprocess.run(command, env={**os.environ, "LC_ALL": locale}, capture_output=True, check=True)
    printed = done.stdout.decode("utf-8")
    assert [text for text in expected if text not in printed] == []
