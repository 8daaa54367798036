"""`security-common keys reencrypt` on this service's stores: a key is replaced while its data stays readable."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mcp_resource_service.directory import Directory
from mcp_resource_service.directory.person import Person
from mcp_resource_service.records import Owner, RecordStore
from security_common.encryption import EncryptionService, Keyring, KeyringFile

OWNER = Owner(issuer="http://localhost:8081", subject="u_1")
HONG = Person(person_id="p_hong", name="홍길동", email="hong@example.com", phone="010-1234-5678")


def keys(*arguments: str, keyring: Path, socket: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SECURITY_ENCRYPTION_KEY_FILE": str(keyring), "MCP_REDIS_URL": f"unix://{socket}"}
    command = [sys.executable, "-c", "from security_common.cli import main; main()", "keys", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.anyio
async def test_a_key_is_replaced_without_downtime(
    redis: Redis, redis_socket: Path, tmp_path: Path, new_id: Callable[[], str]
) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(Keyring.generate().dump())
    first = Keyring.load(path).primary.key_id
    encryption = EncryptionService(KeyringFile(path))  # that of a running service
    records = RecordStore(redis, encryption, clock=lambda: 0.0, new_id=new_id)
    directory = Directory(redis, encryption)
    kept = [await records.keep(OWNER, "note", "비밀") for _ in range(3)]
    await directory.put([HONG])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return keys(*arguments, keyring=path, socket=redis_socket)

    second = run("add").stdout.strip()
    run("promote", second)
    done = run("reencrypt", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    tally = {each["store"].split()[-1]: (each["seen"], each["renewed"]) for each in json.loads(done.stdout)}
    assert tally == {"directory": (1, 1), "records": (3, 3)}
    assert "mcp-resource-service records: 3 items, 0 renewed, 0 unreadable" in run("reencrypt").stdout
    run("retire", first, "--destroy")
    assert (await records.open(OWNER, kept[0].record_id)).text == "비밀"
    assert (await directory.find("p_hong")).phone == HONG.phone


@pytest.mark.anyio
async def test_what_cannot_be_read_is_counted_and_the_rest_goes_on(
    redis: Redis, redis_socket: Path, tmp_path: Path, new_id: Callable[[], str]
) -> None:
    path = tmp_path / "keyring.json"
    lost, ring = Keyring.generate(), Keyring.generate()
    path.write_text(ring.dump())
    for keyring in (lost, ring):
        store = RecordStore(redis, EncryptionService(lambda keyring=keyring: keyring), clock=lambda: 0.0, new_id=new_id)
        await store.keep(OWNER, "note", "비밀")
    await Directory(redis, EncryptionService(lambda: lost)).put([HONG])
    done = keys("reencrypt", keyring=path, socket=redis_socket)
    assert done.returncode == 1
    assert "directory: 1 items, 0 renewed, 1 unreadable" in done.stdout
    assert "records: 2 items, 0 renewed, 1 unreadable" in done.stdout
    assert done.stderr.startswith("hint: ")
