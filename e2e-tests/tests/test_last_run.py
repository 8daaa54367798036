"""The state file that `make run` writes for commands in other terminals."""

from pathlib import Path

import pytest

from local_stack.last_run import last_stack, save_last_run
from local_stack.ports import StackPorts
from local_stack.stack import AUTH, Stack

STARTED = StackPorts(auth=9101, mcp=9102, redis=9103)
GIVEN = {"AUTH_CONFIG": "auth.yaml", "SECURITY_ENCRYPTION_KEY": "a secret"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder in which a stack was started on other ports, with the settings `GIVEN`."""
    save_last_run(Stack(STARTED, tmp_path, GIVEN))
    return tmp_path


def test_before_the_first_start_the_default_stack_is_used(tmp_path: Path) -> None:
    assert last_stack(tmp_path, {}).ports == StackPorts()
    assert last_stack(tmp_path, {"AUTH_PORT": "9081"}).ports == StackPorts(auth=9081)


def test_ports_and_settings_of_the_last_start_are_used(state: Path) -> None:
    last = last_stack(state, {})
    assert last.ports == STARTED
    assert last.settings(AUTH)["AUTH_CONFIG"] == "auth.yaml"


def test_the_environment_takes_precedence(state: Path) -> None:
    last = last_stack(state, {"AUTH_PORT": "9101", "AUTH_CONFIG": "other.yaml", "AUTH_LOG_LEVEL": "debug"})
    assert last.ports == STARTED
    assert (last.overrides["AUTH_CONFIG"], last.overrides["AUTH_LOG_LEVEL"]) == ("other.yaml", "debug")


def test_a_different_port_selects_a_different_stack(state: Path) -> None:
    other = last_stack(state, {"AUTH_PORT": "9081", "MCP_PORT": "9082"})
    assert other.ports == StackPorts(auth=9081, mcp=9082)
    assert "AUTH_CONFIG" not in other.overrides


def test_a_secret_setting_is_not_stored(state: Path) -> None:
    file = state / "stack.json"
    assert "a secret" not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_new_start_replaces_the_state_file(state: Path) -> None:
    save_last_run(Stack(StackPorts(), state))
    assert last_stack(state, {}).ports == StackPorts()
    assert last_stack(state, {}).overrides == {}
