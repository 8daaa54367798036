"""Finds the stack that a command refers to: the one that `make run` started last, or one on the default ports."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from local_stack.errors import StackError
from local_stack.given_settings import SETTINGS_CLASSES, given_settings
from local_stack.ports import StackPorts
from local_stack.stack import REDIS, SECRETS, Stack
from security_common.private_files import write_new
from security_common.setting_names import secret_variable_names

__all__ = ["find_problem", "find_running_stack", "last_stack", "save_last_run"]

_FILE = "stack.json"
_PORT_VARIABLES = {"auth": "AUTH_PORT", "mcp": "MCP_PORT", "redis": "REDIS_PORT", "gateway": "GATEWAY_PORT"}
_ANSWER_SECONDS = 5.0


def save_last_run(stack: Stack) -> None:
    """Writes the ports and the given settings into the state folder, for the commands in other terminals.

    A setting whose value is a secret, not the path of a file, is left out.
    """
    secrets = {name for each in SETTINGS_CLASSES for name in secret_variable_names(each)}
    settings = {name: value for name, value in stack.overrides.items() if name not in secrets}
    ports = {variable: getattr(stack.ports, name) for name, variable in _PORT_VARIABLES.items()}
    draft = stack.state / f"{_FILE}.new"
    draft.unlink(missing_ok=True)
    write_new(draft, json.dumps({"ports": ports, "settings": settings}, indent=2) + "\n")
    draft.replace(stack.state / _FILE)


def last_stack(state: Path, environment: Mapping[str, str]) -> Stack:
    """The stack that was started last with this state folder; before the first start, the default stack.

    Settings from the environment take precedence. A different port in the environment refers to a different stack, so
    nothing of the last one is used then. Raises `StackError`.
    """
    given = given_settings(environment, state / SECRETS)
    saved = _read(state / _FILE)
    last_ports = StackPorts().changed_by({name: str(port) for name, port in saved["ports"].items()})
    ports = last_ports.changed_by(environment)
    if ports != last_ports:
        return Stack(StackPorts.from_environment(environment), state, given)
    return Stack(ports, state, {**saved["settings"], **given})


def find_running_stack(state: Path, environment: Mapping[str, str]) -> Stack:
    """The stack that answers. Raises `StackError` if none does."""
    last = last_stack(state, environment)
    given = given_settings(environment, state / SECRETS)
    default = Stack(StackPorts.from_environment(environment), state, given)
    problems: list[str] = []
    for stack in [last] if last.ports == default.ports else [last, default]:
        problem = find_problem(stack)
        if problem is None:
            return stack
        problems.append(problem)
    raise StackError(
        problems[0],
        hint="start it first: make run. A stack on other ports: AUTH_PORT=9081 MCP_PORT=9082 before the command",
    )


def find_problem(stack: Stack) -> str | None:
    """Why this stack cannot be used; None when its services answer."""
    for url in (stack.url_of(name) for name in stack.servers if name != REDIS):
        try:
            answer = httpx2.get(f"{url}/livez", timeout=_ANSWER_SECONDS)
        except httpx2.ConnectError:
            return f"nothing answers at {url}"
        except httpx2.HTTPError as error:
            return f"the program at {url} does not answer HTTP requests correctly ({type(error).__name__})"
        if answer.status_code != 200:
            return f"the program at {url} is a different one: /livez answers {answer.status_code}"
    return None


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return {"ports": dict(saved["ports"]), "settings": dict(saved["settings"])}
    except FileNotFoundError:
        return {"ports": {}, "settings": {}}
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{path} cannot be read", hint="delete it; the next make run writes it again") from error
