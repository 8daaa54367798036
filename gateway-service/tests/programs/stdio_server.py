"""An MCP server on standard input and output for the tests. It breaks the protocol where a tool is asked to.

`--era` is `stateless` (2026-07-28), `handshake` (2025-11-25), or `silent`: an older server that leaves unknown requests
without an answer. `--banner` prints a line of text first, `--stubborn` ignores the end of its input and SIGTERM.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

STATELESS = "2026-07-28"
TOOLS = (
    "answer_again",
    "answer_another",
    "ask",
    "change_list",
    "count",
    "crash",
    "echo",
    "environment",
    "fail",
    "fork",
    "log",
    "long_line",
    "not_json",
    "notify",
    "processes",
    "progress",
    "slow",
    "use_memory",
)


class Server:
    def __init__(self, era: str) -> None:
        self.era = era
        self.calls = 0
        self.cancelled: list[Any] = []
        self.received: list[dict[str, Any]] = []
        self._writing = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        self.print(json.dumps({"jsonrpc": "2.0", **message}))

    def print(self, line: str) -> None:
        with self._writing:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def run(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            self.received.append(message)
            if message.get("method") == "notifications/cancelled":
                self.cancelled.append(message["params"]["requestId"])
            if message.get("method") == "tools/call":
                threading.Thread(target=self.call, args=(message,), daemon=True).start()
            elif "method" in message and "id" in message:
                self.answer(message)

    def answer(self, message: dict[str, Any]) -> None:
        match message["method"]:
            case "server/discover" if self.era == "stateless":
                result: dict[str, Any] = {"supportedVersions": [STATELESS], "capabilities": {"tools": {}}}
            case "initialize" if self.era != "stateless":
                version = message["params"]["protocolVersion"]
                result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "test"}}
            case "tools/list":
                result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
            case _ if self.era == "silent":
                return
            case _:
                self.send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
                return
        self.send({"id": message["id"], "result": result})

    def call(self, message: dict[str, Any]) -> None:
        self.calls += 1
        arguments = message["params"].get("arguments", {})
        text = getattr(self, f"tool_{message['params']['name']}")(message, **arguments)
        self.send({"id": message["id"], "result": {"content": [{"type": "text", "text": text}]}})

    def tool_echo(self, _message: Any, text: str = "") -> str:
        return text

    def tool_count(self, _message: Any) -> str:
        """How many calls this process has received, and which one it is."""
        return f"{self.calls} calls of {process_name(os.getpid())}"

    def tool_environment(self, _message: Any) -> str:
        stores = {name: len(list(Path(os.environ[name]).iterdir())) for name in ("HOME", "TMPDIR")}
        return json.dumps({"variables": dict(os.environ), "folder": str(Path.cwd()), "stores": stores})

    def tool_fail(self, message: Any) -> str:
        error = {"code": -32050, "message": "call 010-1234-5678", "data": {"mail": "hong@example.com"}}
        self.send({"id": message["id"], "error": error})
        threading.Event().wait()
        return ""

    def tool_not_json(self, _message: Any) -> str:
        self.print("words of the program")
        return "done"

    def tool_answer_another(self, message: Any) -> str:
        self.send({"id": message["id"] + 1000, "result": {"content": []}})
        return "done"

    def tool_answer_again(self, message: Any) -> str:
        self.send({"id": message["id"], "result": {"content": [{"type": "text", "text": "first"}]}})
        return "second"

    def tool_long_line(self, _message: Any, size: int = 0) -> str:
        sys.stdout.write("x" * size)  # without an end
        sys.stdout.flush()
        threading.Event().wait()
        return ""

    def tool_notify(self, _message: Any, count: int = 0) -> str:
        for _ in range(count):
            self.send({"method": "notifications/message", "params": {"level": "info", "data": "words of the program"}})
        return "done"

    def tool_progress(self, message: Any, steps: int = 0, seconds: float = 0.0) -> str:
        token = message["params"].get("_meta", {}).get("progressToken")
        for step in range(steps):
            params = {"progressToken": token, "progress": step + 1, "message": "words of the program"}
            self.send({"method": "notifications/progress", "params": params})
            time.sleep(seconds)
        return "done"

    def tool_log(self, _message: Any, text: str = "", lines: int = 1) -> str:
        for _ in range(lines):
            sys.stderr.write(f"{text}\n")
        return "done"

    def tool_slow(self, message: Any, seconds: float = 0.0, note: str = "") -> str:
        """Answers late, and reports how many requests were cancelled. It makes the file `note` when it begins."""
        if note:
            Path(note).touch()
        end = time.monotonic() + seconds
        while time.monotonic() < end and message["id"] not in self.cancelled:
            time.sleep(0.01)
        return f"cancelled: {len(self.cancelled)}"

    def tool_ask(self, _message: Any, method: str = "") -> str:
        """Sends a request to the client, and returns the answer."""
        self.send({"id": "of-the-server", "method": method, "params": {}})
        while True:
            for message in self.received:
                if message.get("id") == "of-the-server":
                    return json.dumps({name: message.get(name) for name in ("result", "error")})
            time.sleep(0.01)

    def tool_change_list(self, _message: Any) -> str:
        self.send({"method": "notifications/tools/list_changed"})
        return "done"

    def tool_crash(self, _message: Any) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    def tool_processes(self, _message: Any) -> str:
        """Starts a child and a grandchild in sessions of their own, and returns the names of all three."""
        child = subprocess.Popen(
            ["setsid", "sh", "-c", "setsid sleep 1000 & echo $!; exec sleep 1000"], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        return json.dumps([process_name(each) for each in (os.getpid(), child.pid, grandchild)])

    def tool_fork(self, _message: Any, count: int = 0) -> str:
        for _ in range(count):
            subprocess.Popen(["setsid", "sleep", "1000"])
        threading.Event().wait()
        return ""

    def tool_use_memory(self, _message: Any, processes: int = 0, size: int = 0) -> str:
        for _ in range(processes):
            program = f"import time; data = b'x' * {size}; time.sleep(1000)"
            subprocess.Popen([sys.executable, "-c", program])
        threading.Event().wait()
        return ""


def process_name(pid: int) -> str:
    """A name for a process that is unique on the machine: in a sandbox, its id is that in a PID namespace."""
    return f"{Path('/proc/self/ns/pid').readlink()}:{pid}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", default="stateless", choices=["stateless", "handshake", "silent"])
    parser.add_argument("--banner", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    options = parser.parse_args()
    server = Server(options.era)
    if options.banner:
        server.print("words of the program")
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.run()
    if options.stubborn:
        threading.Event().wait()


main()
