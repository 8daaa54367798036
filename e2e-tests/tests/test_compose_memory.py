"""The Redis of compose.yaml accepts more audit events than fit into its memory, and no acknowledged event is lost."""

import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local_stack import faults
from local_stack.compose import Compose

pytestmark = pytest.mark.compose

EVENTS = [pytest.param(50_000, id="50000-events"), pytest.param(2_000_000, id="2000000-events", marks=pytest.mark.deep)]
PROGRAM = Path(faults.__file__).with_name("fill_trail.py")

logger = logging.getLogger(__name__)


@pytest.mark.parametrize("events", EVENTS)
def test_redis_stays_within_its_memory_limit(compose: Compose, http: httpx2.Client, events: int) -> None:
    before = compose.inspect("redis")
    reports: list[dict[str, Any]] = []
    with compose.start("exec", "-T", "auth-service", "python", "-c", PROGRAM.read_text(), str(events)) as filling:
        assert filling.stdout is not None
        for line in filling.stdout:
            told = json.loads(line) | {"redis_container_bytes": container_bytes(before["Id"])}
            told["ready"] = [http.get(f"{url}/readyz").status_code for url in (compose.auth_url, compose.mcp_url)]
            logger.info("%s", told)
            reports.append(told)
    assert filling.returncode == 0
    assert [each["ready"] for each in reports if each["ready"] != [200, 200]] == []
    assert all(each["used_memory"] < each["maxmemory"] for each in reports)
    after = compose.inspect("redis")
    assert (after["Id"], after["RestartCount"], after["State"]["OOMKilled"]) == (before["Id"], 0, False)
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    verdict = json.loads(compose("exec", "-T", "auth-service", "security-common", "audit", "verify", "--json"))
    assert verdict["intact"], verdict["findings"]
    span = verdict["journals"][reports[-1]["journal_id"]]
    assert (span["first_seq"], span["last_seq"] >= reports[-1]["last_seq"] >= events) == (1, True)


def container_bytes(container: str) -> str:
    """The memory that the engine counts against the limit, as shown by `docker stats`."""
    command = ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", container]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
