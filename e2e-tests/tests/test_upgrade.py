"""The state of release 0.1.0 is used as it is: keys, clients, accounts, refresh tokens, records and the audit trail.

state-of-0.1.0.tar.gz was written by that release (commit 7fbc4bb) with invented data, and packed with `security-common
backup create`; state-of-0.1.0.json has the credentials of its clients and users. Lifetimes of 20 years were set,
so that nothing expires.
"""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from signing_in import Person, Request, refresh, sent_to_client

from local_stack.administration import run_command
from local_stack.backups import restore_state
from local_stack.demo_scenario import ServicesApi
from local_stack.stack import AUTH, MCP, Stack, StackPorts, start_stack

pytestmark = pytest.mark.ops

DATA = Path(__file__).resolve().parents[1] / "data"
LIFETIME_SECONDS = str(20 * 365 * 86400)
SETTINGS = {
    "AUTH_ISSUER": "http://localhost:8081",
    "MCP_RESOURCE": "http://localhost:8082/mcp",
    "AUTH_REFRESH_IDLE_LIFETIME_SECONDS": LIFETIME_SECONDS,
    "AUTH_REFRESH_ABSOLUTE_LIFETIME_SECONDS": LIFETIME_SECONDS,
}


def printed(stack: Stack, capfd: pytest.CaptureFixture[str], *command: str) -> str:
    """What a command prints; it has to succeed."""
    capfd.readouterr()
    status = run_command(stack, command)
    output = capfd.readouterr()
    assert status == 0, output.out + output.err
    return output.out


def test_the_state_of_release_0_1_0_can_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    known: dict[str, Any] = json.loads((DATA / "state-of-0.1.0.json").read_text(encoding="utf-8"))
    ports = StackPorts.ephemeral()
    restore_state(Stack(ports, tmp_path), DATA / "state-of-0.1.0.tar.gz")
    with start_stack(tmp_path, ports=ports, overrides=SETTINGS) as stack, httpx2.Client(timeout=60) as http:
        published = http.get(f"{stack.auth_url}/.well-known/jwks.json").json()["keys"]
        assert {key["kid"] for key in published} & set(known["key_ids"])

        client = known["client"]
        own = ServicesApi(stack.auth_url, stack.mcp_url, http, (client["client_id"], client["client_secret"]))
        assert own.get("/hello", own.client.token("mcp.access")).status_code == 200

        demo = ServicesApi(stack.auth_url, stack.mcp_url, http)
        call = {"name": "read_sensitive_data", "arguments": {"record_id": known["record"]["record_id"]}}
        read = demo.post_mcp(demo.client.token("mcp.access mcp.decrypt"), "2025-11-25", "tools/call", call)
        assert known["record"]["data"] in read.text

        registered, user = known["registered"], known["user"]
        person = Person(stack.auth_url)
        refreshed = refresh(person.http, registered["client_id"], registered["refresh_token"])
        assert refreshed.status_code == 200, refreshed.text
        request = Request(registered["client_id"], {"scope": "mcp.access offline_access"})
        page = person.sign_in(person.open(request.path), user["username"], user["password"])
        assert "code" in sent_to_client(page), "the consent is still known"
        person.http.close()

        verified = printed(stack, capfd, "security-common", "audit", "verify")
        assert f"{AUTH}: intact" in verified
        assert f"{MCP}: intact" in verified
        for service in (AUTH, MCP):
            printed(stack, capfd, service, "doctor")
