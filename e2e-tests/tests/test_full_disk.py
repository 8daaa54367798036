"""While a service cannot write its journal, it starts no audited operation. It recovers without a restart."""

import resource
import time
from pathlib import Path

import httpx2
import redis

from local_stack.demo_scenario import PERSON, ServicesApi
from local_stack.stack import AUTH, MCP, Stack, start_stack

CALL = {"name": "store_sensitive_data", "arguments": {"data": PERSON}}
UNKNOWN_TOOL = {"name": "no_such_tool", "arguments": {}}
PATIENCE_SECONDS = 60
NO_LIMIT = resource.RLIM_INFINITY


def limit_files(stack: Stack, size_bytes: int) -> None:
    """Simulates a full disk: no file of the services can grow beyond this size."""
    for name in (AUTH, MCP):
        resource.prlimit(stack.children[name].pid, resource.RLIMIT_FSIZE, (size_bytes, NO_LIMIT))


def stored(stack: Stack) -> set[str]:
    password = stack.redis_password("mcp")
    with redis.Redis(port=stack.ports.redis, username="mcp", password=password, decode_responses=True) as client:
        return {key for key in client.scan_iter("mcp:*") if not key.startswith("mcp:rates:")}


def require_unavailable(answer: httpx2.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert PERSON not in answer.text


def test_operations_that_cannot_be_recorded_are_refused(tmp_path: Path, http: httpx2.Client) -> None:
    with start_stack(tmp_path) as stack:
        api = ServicesApi(stack.auth_url, stack.mcp_url, http)
        token = api.token
        assert api.post_mcp(token, "2026-07-28", "tools/call", CALL).status_code == 200
        limit_files(stack, 1)
        # The first call on the full disk has already been executed when writing fails; its response is withheld.
        require_unavailable(api.post_mcp(token, "2026-07-28", "tools/call", CALL))
        before = stored(stack)
        assert before

        for version in ("2026-07-28", "2025-11-25"):
            require_unavailable(api.post_mcp(token, version, "tools/call", CALL))
            require_unavailable(api.post_mcp(token, version, "tools/call", UNKNOWN_TOOL))
        refused = api.client.request_token()
        require_unavailable(refused)
        assert refused.json()["error"] == "temporarily_unavailable"
        assert stored(stack) == before

        limit_files(stack, NO_LIMIT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := api.post_mcp(token, "2026-07-28", "tools/call", CALL)).status_code != 200:
            require_unavailable(answer)
            assert time.monotonic() < deadline
        while (answer := api.client.request_token()).status_code != 200:
            require_unavailable(answer)
            assert time.monotonic() < deadline
        assert len(stored(stack)) == len(before) + 1
