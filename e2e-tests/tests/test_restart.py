"""Tokens, keys, clients and records stay valid after a restart."""

import json
import subprocess
import sys
from pathlib import Path

import httpx2

from local_stack.demo_scenario import PERSON, ServicesApi
from local_stack.ports import StackPorts
from local_stack.stack import AUTH, start_stack


def test_tokens_keys_clients_and_records_survive_a_restart(tmp_path: Path, http: httpx2.Client) -> None:
    ports = StackPorts.ephemeral()
    with start_stack(tmp_path, ports=ports) as stack:
        api = ServicesApi(stack.auth_url, stack.mcp_url, http)
        token = api.client.token("mcp.access mcp.decrypt")
        record = api.call("store_sensitive_data", {"data": PERSON})["record_id"]
        keys = http.get(f"{stack.auth_url}/.well-known/jwks.json").json()
        made = subprocess.run(
            [str(Path(sys.executable).with_name(AUTH)), "client", "create", "lasting", "--json"],
            env=stack.environment(AUTH),
            capture_output=True,
            text=True,
            check=True,
        )
        [client] = json.loads(made.stdout)
    with start_stack(tmp_path, ports=ports) as stack:
        assert http.get(f"{stack.auth_url}/.well-known/jwks.json").json() == keys
        api = ServicesApi(stack.auth_url, stack.mcp_url, http, (client["client_id"], client["client_secret"]))
        assert api.get("/hello", token).status_code == 200
        assert api.get("/hello", api.token).status_code == 200
        call = {"name": "read_sensitive_data", "arguments": {"record_id": record}}
        assert PERSON in api.post_mcp(token, "2025-11-25", "tools/call", call).text
