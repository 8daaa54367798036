"""Checks of the README pages: code blocks, tags and links."""

import ast
import itertools
import re
import subprocess
from pathlib import Path

import pytest

from local_stack.fences import read_fences

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
TESTED_HOW = {"run", "docker", "external"}


def test_the_korean_page_has_the_same_blocks() -> None:
    assert [fence.text for fence in read_fences(KOREAN)] == [fence.text for fence in read_fences(ENGLISH)]


def test_every_code_block_has_a_test_tag() -> None:
    commands = [fence for fence in read_fences(ENGLISH) if fence.language in {"sh", "python"}]
    assert [fence.line for fence in commands if len(fence.tags & TESTED_HOW) != 1] == []


@pytest.mark.parametrize("page", [ENGLISH, KOREAN], ids=["en", "ko"])
def test_every_link_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_external_commands_are_valid_shell() -> None:
    for fence in read_fences(ENGLISH):
        if "external" in fence.tags:
            subprocess.run(["bash", "-n"], input=fence.text, text=True, check=True)


def test_the_docker_commands_are_run_by_the_compose_tests() -> None:
    """test_compose_commands and test_one_container run these commands with other names and ports."""
    commands = [line for fence in read_fences(ENGLISH) if "docker" in fence.tags for line in fence.text.splitlines()]
    assert commands == [
        "docker compose up --build --wait",
        "docker build -t mcp-oauth2-demo .",
        "docker run -p 8081:8081 -p 8082:8082 mcp-oauth2-demo",
    ]


def test_python_blocks_parse() -> None:
    for fence in read_fences(ENGLISH):
        if fence.language == "python":
            ast.parse(fence.text)


def test_every_python_block_is_saved_and_run_by_a_command() -> None:
    """The next command names the file and the interpreter that runs it."""
    fences = [fence for fence in read_fences(ENGLISH) if "output" not in fence.tags]
    for block, command in itertools.pairwise(fences):
        if block.language == "python":
            assert f".venv/bin/python {block.file_name}\n" in command.text


def test_the_opening_commands_start_and_test() -> None:
    first, second = [fence.text.strip() for fence in read_fences(ENGLISH) if "run" in fence.tags][:2]
    assert (first, second) == ("make run", "make test")
    assert "make test\n" in (ROOT / ".ci/run").read_text(encoding="utf-8")
