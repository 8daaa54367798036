"""How long the services take until their first response, and how much memory they use after work.

    python benchmarks/start_and_memory.py [CALLS]

Wall time is how long a user waits; CPU time until the first response depends less on other work of the machine. Memory
is the resident set after the calls: tokens of auth-service, /hello and tool calls of the resource service.
"""

import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import httpx2
from http_load import cpu_seconds, resident_mib

from local_stack.demo_scenario import ServicesApi
from local_stack.ports import StackPorts
from local_stack.stack import AUTH, MCP, REDIS, Stack
from security_common.cli.setup import make_secrets


def wait_for_response(url: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.005)


def main(calls: int) -> None:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(StackPorts.ephemeral(), Path(folder))
        make_secrets(stack.secrets)
        try:
            stack.start_one(REDIS)
            for name, url in ((AUTH, stack.auth_url), (MCP, stack.mcp_url)):
                started = time.perf_counter()
                stack.start_one(name)
                wait_for_response(f"{url}/livez")
                figures[name] = {
                    "seconds to the first response": round(time.perf_counter() - started, 2),
                    "of which CPU": cpu_seconds(stack.children[name].pid),
                }
                stack.wait_until_ready(name)
            with httpx2.Client(timeout=20) as http:
                api = ServicesApi(stack.auth_url, stack.mcp_url, http)
                call = {"name": "get_user_info", "arguments": {"person_id": "p_hong"}}
                for _ in range(calls):
                    token = api.client.token()
                    api.get("/hello", token).raise_for_status()
                    api.post_mcp(token, "2026-07-28", "tools/call", call).raise_for_status()
            for name in (AUTH, MCP):
                figures[name]["MiB after the calls"] = round(resident_mib(stack.children[name].pid))
        finally:
            stack.stop()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main(int((*sys.argv, "1000")[1]))
