"""`make run`: runs everything in the foreground until Ctrl-C, SIGTERM, or until one of the servers ends."""

import fcntl
import signal
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local_stack.errors import StackError
from local_stack.given_settings import given_settings
from local_stack.last_run import save_last_run
from local_stack.messages import localize
from local_stack.notices import check_exposure, start_notices
from local_stack.ports import StackPorts
from local_stack.stack import MCP, SECRETS, Stack
from local_stack.start_message import start_message
from security_common.audit import link_audit_log
from security_common.settings import SecuritySettings

__all__ = ["exclusive", "supervise"]

# The path of the audit log in the original demo, which people still look for.
AUDIT_LOG = Path("logs/security_audit.log")

_STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def supervise(state: Path, environment: Mapping[str, str], message: Callable[[Stack], str] = start_message) -> None:
    """Starts the stack, prints the start message, and stops everything in reverse order on SIGINT, SIGTERM or SIGHUP.

    Ports and settings are read from the environment; every setting is passed to the services.

    Raises `StackError` if it cannot start or a server ends unexpectedly. No server is left running then.
    """
    for stop_signal in _STOPPING:
        signal.signal(stop_signal, _exit_on_signal)
    signal.signal(signal.SIGCHLD, _ignore_signal)
    with exclusive(state):
        stack = Stack(StackPorts.from_environment(environment), state, given_settings(environment, state / SECRETS))
        check_exposure(stack, environment)
        for notice in start_notices(stack, environment):
            print(localize(notice), file=sys.stderr, flush=True)
        try:
            stack.start()
            # From here on signals are blocked and received with sigwait, so that they do not interrupt other code.
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING | {signal.SIGCHLD})
            link_audit_log(SecuritySettings(audit_dir=stack.audit_dir), service=MCP, link=AUDIT_LOG)
            save_last_run(stack)
            print(localize(message(stack)), flush=True)
            wait_until_stopped(stack)
            print(localize("stopping …"), file=sys.stderr, flush=True)
        finally:
            stack.stop()


@contextmanager
def exclusive(state: Path) -> Generator[None]:
    """Locks the state folder. Raises `StackError` if another stack has locked it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError("another stack already uses this state folder", hint="stop it first (Ctrl-C)") from error
        yield


def wait_until_stopped(stack: Stack) -> None:
    """Returns on SIGINT, SIGTERM or SIGHUP. Raises `StackError` if a server has ended unexpectedly."""
    while True:
        for child in stack.children.values():
            if child.exit_status() is not None:
                raise StackError(f"{child.name} ended unexpectedly", hint=f"see {child.log}:\n{child.last_output()}")
        if signal.sigwait(_STOPPING | {signal.SIGCHLD}) in _STOPPING:
            return


def _exit_on_signal(_signal: int, _frame: FrameType | None) -> None:
    """Aborts the start. The `finally` block of `supervise` stops the servers that have started."""
    sys.exit(0)


def _ignore_signal(_signal: int, _frame: FrameType | None) -> None:
    """SIGCHLD needs a handler, otherwise the kernel discards it and `sigwait` does not receive it."""
