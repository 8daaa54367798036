"""Runs commands of the distributions for tests, without the second that each of them needs to import its program.

A process imports the programs once and forks for every command. A command has arguments, an environment, a working
directory, standard input and output and an exit status of its own, as one that is started from a shell.

    run_command ──arguments, environment, files──▶ server ──fork──▶ watcher ──fork──▶ the command
                ◀──process id, exit status────────────────────────────┘

The server starts with the first command, and ends with the process that has started it.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

__all__ = ["run_command", "run_command_with_bytes"]

# Includes the imports for the first command, on a machine that is slow and busy.
_SECONDS = 600.0
_MAX_REQUEST_BYTES = 1 << 20


def run_command(
    *command: str, environment: Mapping[str, str], folder: Path | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """As `run_command_with_bytes`, with text."""
    done = run_command_with_bytes(*command, environment=environment, folder=folder, given=given.encode())
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_command_with_bytes(
    *command: str, environment: Mapping[str, str], folder: Path | None = None, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command, which is the name of a program and its arguments, until it ends.

    `folder` is its working directory, by default that of this process; `given` is its standard input. Raises
    `subprocess.TimeoutExpired` if it does not end within ten minutes.
    """
    request = {"command": command, "environment": dict(environment), "folder": str(folder or Path.cwd())}
    with (
        tempfile.TemporaryFile() as given_file,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        given_file.write(given)
        given_file.seek(0)
        connection.connect(_start_server())
        files = [given_file.fileno(), output.fileno(), errors.fileno()]
        socket.send_fds(connection, [json.dumps(request).encode()], files)
        connection.shutdown(socket.SHUT_WR)
        status = _read_status(connection, command)
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(command, status, output.read(), errors.read())


_starting = threading.Lock()
_address: str | None = None


def _start_server() -> str:
    """The address of the server, which is started if it does not run yet."""
    global _address  # noqa: PLW0603 - one server per process
    with _starting:
        if _address is None:
            _address = str(Path(tempfile.mkdtemp(prefix="commands-")) / "socket")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(_address)
                listener.listen(128)
                program = [sys.executable, "-m", "local_stack.command_server", str(listener.fileno())]
                # Without a terminal. It ends when its standard input is closed, also if this process is killed.
                server = subprocess.Popen(
                    program, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], start_new_session=True
                )
            atexit.register(server.communicate)
        return _address


def _read_status(connection: socket.socket, command: tuple[str, ...]) -> int:
    """The exit status; a negative number is the signal that has ended the command."""
    connection.settimeout(_SECONDS)
    process_id: int | None = None
    try:
        with connection.makefile("r") as answers:
            process_id = int(answers.readline())
            return int(answers.readline())
    except TimeoutError as error:
        if process_id is not None:
            os.kill(process_id, signal.SIGKILL)
        raise subprocess.TimeoutExpired(command, _SECONDS) from error


def main() -> None:
    """Serves requests until standard input is closed. The argument is the number of the listening socket."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended watchers are not waited for
    with socket.socket(fileno=int(sys.argv[1])) as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if listener not in ready:
                break
            _serve(listener)
        address = Path(listener.getsockname())
        address.unlink()
        address.parent.rmdir()


def _serve(listener: socket.socket) -> None:
    """Receives one request and leaves it to a watcher."""
    connection, _ = listener.accept()
    content, files, _, _ = socket.recv_fds(connection, _MAX_REQUEST_BYTES, 3)
    while part := connection.recv(_MAX_REQUEST_BYTES):
        content += part
    request = json.loads(content)
    program = _load(request["command"][0])
    if os.fork() == 0:
        listener.close()
        _watch(connection, program, request, files)
    connection.close()
    for file in files:
        os.close(file)


@cache
def _load(name: str) -> Any:
    """The function of a program, after everything that its commands may import has been imported."""
    (entry,) = entry_points(group="console_scripts", name=name)
    package = importlib.import_module(entry.module.partition(".")[0])
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    gc.collect()
    gc.freeze()  # the memory of these modules stays shared with the commands
    return entry.load()


def _watch(connection: socket.socket, program: Any, request: Mapping[str, Any], files: list[int]) -> None:
    """Runs the command in a child, and reports how it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(request, files)
        program()
        sys.exit()  # the interpreter ends as that of any command, also after an exception of the program
    connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Gives this process what a new one would have for the command."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - they stay open
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - as above
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["command"]


if __name__ == "__main__":
    main()
