"""`audit verify` reports an unchanged audit trail as intact: two services, restarts, and replicas on two disks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from local_stack.command_server import run_command
from local_stack.stack import AUTH, MCP, Stack, start_stack
from security_common.audit import AuditEvent, Outcome, open_journal
from security_common.settings import SecuritySettings

EVENTS = [pytest.param(1_000, id="1000-events"), pytest.param(50_000, id="50000-events", marks=pytest.mark.deep)]
AT_ONCE = 200
EVENT = AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS, tool_name="load")


@pytest.mark.parametrize("events", EVENTS)
def test_an_unchanged_audit_trail_is_intact(tmp_path: Path, events: int) -> None:
    with start_stack(tmp_path) as stack:
        write_as_replica(stack, stack.audit_dir, events)
        restart(stack, MCP)
        write_as_replica(stack, tmp_path / "another disk", 100)
        together = verify(stack, MCP, "--keys", str(stack.secrets))
        apart = [verify(stack, name, "--service", name) for name in (AUTH, MCP)]
    assert together["intact"]
    assert set(together["services"]) == {AUTH, MCP}
    assert together["lines"] > events
    assert any("is not on this disk" in note for note in together["notes"])
    assert all(verdict["intact"] for verdict in apart)


def write_as_replica(stack: Stack, audit_dir: Path, events: int) -> None:
    """Records events like another process of auth-service, with the journals below `audit_dir`."""
    environment = stack.environment(AUTH)
    settings = SecuritySettings(
        audit_dir=audit_dir,
        audit_chain_key_file=Path(environment["SECURITY_AUDIT_CHAIN_KEY_FILE"]),
        audit_checkpoint_key_file=Path(environment["SECURITY_AUDIT_CHECKPOINT_KEY_FILE"]),
    )

    async def write() -> None:
        async with Redis.from_url(stack.redis_url("auth"), password=stack.redis_password("auth")) as redis:
            journal = open_journal(service=AUTH, settings=settings, redis=redis)
            await journal.start()
            for _ in range(events // AT_ONCE + 1):
                await asyncio.gather(*(journal.record(EVENT) for _ in range(AT_ONCE)))
            await journal.stop()

    asyncio.run(write())


def restart(stack: Stack, name: str) -> None:
    stack.children.pop(name).stop(10)
    stack.start_one(name)
    stack.wait_until_ready(name)


def verify(stack: Stack, name: str, *arguments: str) -> dict[str, Any]:
    """Runs the command with the environment of one service, as `docker compose exec` does."""
    words = ("audit", "verify", "--json", *arguments)
    done = run_command("security-common", *words, environment=stack.environment(name))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
