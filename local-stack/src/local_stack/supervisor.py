"""`make run`: everything in the foreground until Ctrl-C, SIGTERM, or the end of one of the servers."""

import fcntl
import signal
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local_stack.errors import StackError
from local_stack.given_settings import given_settings
from local_stack.last_run import remember
from local_stack.notices import check_exposure, start_notices
from local_stack.ports import StackPorts
from local_stack.stack import MCP, SECRETS, Stack
from local_stack.start_card import start_card
from security_common.audit import link_audit_log
from security_common.settings import SecuritySettings

__all__ = ["exclusive", "supervise"]

# Where the demo had its audit log.
AUDIT_LOG = Path("logs/security_audit.log")

_STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def supervise(state: Path, environment: Mapping[str, str], card: Callable[[Stack], str] = start_card) -> None:
    """Starts the stack, prints the card, and stops everything in reverse order when a signal asks for it.

    Ports and settings come from the environment: the services get every setting that is there.

    Raises `StackError` when it cannot start, or when a server ends by itself; nothing is left running then either.
    """
    for asked in _STOPPING:
        signal.signal(asked, _leave)
    signal.signal(signal.SIGCHLD, _wake)
    with exclusive(state):
        stack = Stack(StackPorts.from_environment(environment), state, given_settings(environment, state / SECRETS))
        check_exposure(stack, environment)
        for notice in start_notices(stack, environment):
            print(notice, file=sys.stderr, flush=True)
        try:
            stack.start()
            # From here on signals are fetched, not handled: one place where they arrive, none where they interrupt.
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING | {signal.SIGCHLD})
            link_audit_log(SecuritySettings(audit_dir=stack.audit_dir), service=MCP, link=AUDIT_LOG)
            remember(stack)
            print(card(stack), flush=True)
            wait_for_the_end(stack)
            print("stopping …", file=sys.stderr, flush=True)
        finally:
            stack.stop()


@contextmanager
def exclusive(state: Path) -> Generator[None]:
    """Holds the state folder for one stack. Raises `StackError` when another stack has it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError("a stack is running on this state already", hint="stop it first (Ctrl-C)") from error
        yield


def wait_for_the_end(stack: Stack) -> None:
    """Returns on a signal that asks to stop. Raises `StackError` when a server has ended by itself."""
    while True:
        for child in stack.children.values():
            if child.exit_status() is not None:
                raise StackError(f"{child.name} ended by itself", hint=f"see {child.log}:\n{child.last_words()}")
        if signal.sigwait(_STOPPING | {signal.SIGCHLD}) in _STOPPING:
            return


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Ends a start that is under way; what has started is stopped on the way out."""
    sys.exit(0)


def _wake(_signal: int, _frame: FrameType | None) -> None:
    """A handler, so that SIGCHLD is delivered at all; `sigwait` fetches it."""
