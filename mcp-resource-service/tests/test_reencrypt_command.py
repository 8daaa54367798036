"""`security-common keys reencrypt` on the stores of this service: a key is replaced while its data stays readable."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from local_stack.command_server import run_command
from mcp_resource_service.directory import Directory
from mcp_resource_service.directory.people import Person
from mcp_resource_service.records import Owner, RecordStore
from security_common.encryption import EncryptionService, Keyring, KeyringFile

OWNER = Owner(issuer="http://localhost:8081", subject="u_1")
HONG = Person(person_id="p_hong", name="홍길동", email="hong@example.com", phone="010-1234-5678")


def environment(keyring: Path, socket: Path) -> dict[str, str]:
    return os.environ | {"SECURITY_ENCRYPTION_KEY_FILE": str(keyring), "MCP_REDIS_URL": f"unix://{socket}"}


def start_keys(*arguments: str, keyring: Path, socket: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from security_common.cli import main; main()", "keys", *arguments]
    variables = environment(keyring, socket)
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def keys(*arguments: str, keyring: Path, socket: Path) -> subprocess.CompletedProcess[str]:
    return run_command("security-common", "keys", *arguments, environment=environment(keyring, socket))


@pytest.mark.anyio
async def test_a_key_is_replaced_without_downtime(
    redis: Redis, redis_socket: Path, tmp_path: Path, new_id: Callable[[], str]
) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(Keyring.generate().dump())
    first = Keyring.load(path).primary.key_id
    encryption = EncryptionService(KeyringFile(path))  # as in a running service
    records = RecordStore(redis, encryption, clock=lambda: 0.0, new_id=new_id)
    directory = Directory(redis, encryption)
    stored = [await records.store(OWNER, "note", "비밀") for _ in range(3)]
    await directory.put([HONG])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return keys(*arguments, keyring=path, socket=redis_socket)

    second = run("add").stdout.strip()
    run("promote", second)
    completed = run("reencrypt", "--json")
    assert (completed.returncode, completed.stderr) == (0, "")
    renewed_by_store = {
        each["store"].split()[-1]: (each["seen"], each["renewed"]) for each in json.loads(completed.stdout)
    }
    assert renewed_by_store == {"directory": (1, 1), "records": (3, 3)}
    assert "mcp-resource-service records: 3 items, 0 renewed, 0 unreadable" in run("reencrypt").stdout
    run("retire", first, "--destroy")
    assert (await records.read(OWNER, stored[0].record_id)).text == "비밀"
    assert (await directory.find("p_hong")).phone == HONG.phone


@pytest.mark.anyio
async def test_unreadable_items_are_counted_and_the_others_are_renewed(
    redis: Redis, redis_socket: Path, tmp_path: Path, new_id: Callable[[], str]
) -> None:
    path = tmp_path / "keyring.json"
    lost_keyring, current_keyring = Keyring.generate(), Keyring.generate()
    path.write_text(current_keyring.dump())
    for keyring in (lost_keyring, current_keyring):
        store = RecordStore(redis, EncryptionService(lambda keyring=keyring: keyring), clock=lambda: 0.0, new_id=new_id)
        await store.store(OWNER, "note", "비밀")
    await Directory(redis, EncryptionService(lambda: lost_keyring)).put([HONG])
    completed = keys("reencrypt", keyring=path, socket=redis_socket)
    assert completed.returncode == 1
    assert "directory: 1 items, 0 renewed, 1 unreadable" in completed.stdout
    assert "records: 2 items, 0 renewed, 1 unreadable" in completed.stdout
    assert completed.stderr.startswith("hint: ")


@pytest.mark.anyio
async def test_after_a_killed_run_the_next_run_renews_the_rest(
    redis: Redis, redis_socket: Path, tmp_path: Path
) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(Keyring.generate().dump())
    directory = Directory(redis, EncryptionService(KeyringFile(path)))
    people = [Person(person_id=f"p_{number}", name="홍길동", email="", phone="") for number in range(500)]
    await directory.put(people)
    remaining = 0
    while not remaining:  # repeat with another key if the run finished before it was killed
        old = Keyring.load(path).primary.key_id
        new = keys("add", keyring=path, socket=redis_socket).stdout.strip()
        keys("promote", new, keyring=path, socket=redis_socket)
        with start_keys("reencrypt", keyring=path, socket=redis_socket) as process:
            while process.poll() is None and not await _count_encrypted_with(redis, new):
                pass
            process.kill()
        remaining = await _count_encrypted_with(redis, old)
    assert remaining < len(people)
    second_run = json.loads(keys("reencrypt", "--json", keyring=path, socket=redis_socket).stdout)
    assert (second_run[0]["seen"], second_run[0]["renewed"], second_run[0]["unreadable"]) == (len(people), remaining, 0)
    keys("retire", old, "--destroy", keyring=path, socket=redis_socket)
    assert [await directory.find(person.person_id) for person in people] == people


async def _count_encrypted_with(redis: Redis, key_id: str) -> int:
    """Returns the number of people whose fields are encrypted with a key."""
    found = [key async for key in redis.scan_iter(match="mcp:users:*", count=500)]
    async with redis.pipeline(transaction=False) as pipe:
        for key in found:
            pipe.hget(key, "name")
        return sum(key_id in name for name in await pipe.execute())
