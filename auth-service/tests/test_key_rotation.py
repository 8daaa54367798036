"""Keys rotate automatically, and no verification fails."""

import asyncio
import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input import DEMO
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet
from jwt import get_unverified_header
from redis.asyncio import Redis
from redis.exceptions import RedisError
from running_auth import Service, StartService

from auth_service.audit_recorder import AuditRecorder
from auth_service.keys.rotation import RotationPolicy, SigningKeyRecord, SigningKeyState, advance, find, revoke
from auth_service.keys.signing_key import PrivateKeyEncryption
from auth_service.keys.signing_key_set import SigningKeySet
from auth_service.keys.store import KeySnapshot, KeyStore
from local_stack.command_server import run_command
from security_common.audit import open_journal
from security_common.encryption import Keyring
from security_common.service import RedisIdentity
from security_common.settings import SecuritySettings

POLICY = RotationPolicy(period_seconds=1000, lead_seconds=100, retiring_seconds=300)


class Keys:
    """Makes key records without generating keys."""

    def __init__(self) -> None:
        self.made = 0
        self.now = 0.0

    def __call__(self, state: SigningKeyState) -> SigningKeyRecord:
        self.made += 1
        return SigningKeyRecord(
            key_id=f"key-{self.made}",
            state=state,
            public_jwk={},
            encrypted_private_key="encrypted",
            created_at_seconds=self.now,
            changed_at_seconds=self.now,
        )


def test_the_first_start_activates_one_key_and_publishes_the_next() -> None:
    records = advance((), 0, POLICY, Keys())
    assert [(record.key_id, record.state.value) for record in records] == [("key-1", "active"), ("key-2", "next")]


@given(steps=st.lists(st.floats(min_value=1, max_value=500), min_size=1, max_size=40))
def test_a_key_signs_after_its_lead_time_and_is_published_until_its_tokens_expire(steps: list[float]) -> None:
    keys = Keys()
    records = advance((), 0, POLICY, keys)
    first = records[0].key_id
    published_at = {record.key_id: 0.0 for record in records}
    last_signed_at: dict[str, float] = {}
    for step in steps:
        active = find(records, SigningKeyState.ACTIVE)
        assert active is not None
        keys.now += step
        last_signed_at[active.key_id] = keys.now
        records = advance(records, keys.now, POLICY, keys)
        states = [record.state for record in records]
        assert states.count(SigningKeyState.ACTIVE) == states.count(SigningKeyState.NEXT) == 1
        for record in records:
            published_at.setdefault(record.key_id, keys.now)
            assert (record.encrypted_private_key is None) == (record.state is SigningKeyState.RETIRING)
            if record.state is SigningKeyState.ACTIVE and record.key_id != first:
                assert record.changed_at_seconds - published_at[record.key_id] >= POLICY.lead_seconds
        ids = {record.key_id for record in records}
        still_needed = {key for key, at in last_signed_at.items() if keys.now - at < POLICY.retiring_seconds}
        assert still_needed <= ids


def test_records_do_not_change_if_nothing_is_due() -> None:
    keys = Keys()
    records = advance((), 0, POLICY, keys)
    assert advance(records, 999, POLICY, keys) is records


def test_a_revoked_key_is_removed_and_the_next_key_signs() -> None:
    keys = Keys()
    records = revoke(advance((), 0, POLICY, keys), "key-1", 5, keys)
    assert [(record.key_id, record.state.value) for record in records] == [("key-2", "active"), ("key-3", "next")]


def get_token(service: Service) -> str:
    answer = service.http.post("/oauth2/token", data=DEMO)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def kid_of(token: str) -> str:
    return get_unverified_header(token)["kid"]


def published(service: Service) -> list[str]:
    return [key["kid"] for key in service.http.get("/.well-known/jwks.json").json()["keys"]]


def wait_until(condition: Any, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds} seconds"
        time.sleep(0.02)


def test_two_replicas_that_start_together_have_the_same_keys(start_service: StartService, own_redis: Any) -> None:
    services: list[Service] = []
    issuer = "http://localhost:8081"
    threads = [
        threading.Thread(target=lambda: services.append(start_service(redis_url=own_redis[0], issuer=issuer)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: published(services[0]) == published(services[1]) and len(published(services[0])) == 2)
    assert kid_of(get_token(services[0])) == kid_of(get_token(services[1]))


def test_no_verification_fails_while_keys_rotate_under_load(start_service: StartService, own_redis: Any) -> None:
    """Two replicas rotate every two seconds; a verifier that caches keys for one second accepts every token."""
    settings = {"redis_url": own_redis[0], "issuer": "http://localhost:8081"}
    replicas = [start_service(key_period_seconds=2, key_lead_seconds=2, **settings) for _ in range(2)]
    signers: set[str] = set()
    fetched_at, keys, verified = 0.0, KeySet([]), 0
    deadline = time.monotonic() + 120
    while len(signers) < 3 or verified <= 50:
        assert time.monotonic() < deadline
        if time.monotonic() - fetched_at > 1:
            keys = KeySet.import_key_set(replicas[verified % 2].http.get("/.well-known/jwks.json").json())
            fetched_at = time.monotonic()
        token = get_token(replicas[(verified + 1) % 2])
        signers.add(jwt.decode(token, keys, algorithms=["RS256"]).header["kid"])
        verified += 1


def test_private_keys_are_encrypted_and_reencrypted_under_a_new_kek(
    start_service: StartService, own_redis: Any, secret_files: dict[str, Path], tmp_path: Path
) -> None:
    url, client = own_redis
    keyring_file = tmp_path / "kek"
    keyring_file.write_text(Keyring.generate().dump())
    service = start_service(redis_url=url, signing_key_kek_file=keyring_file)
    signer = kid_of(get_token(service))
    stored = client.hget("auth:keys", "records")
    assert "PRIVATE" not in stored
    old = Keyring.load(keyring_file)
    added = old.add()
    (fresh,) = {key.key_id for key in added.keys} - {key.key_id for key in old.keys}
    keyring_file.write_text(added.promote(fresh).dump())

    def all_renewed() -> bool:
        sealed = [record["sealed_private_key"] for record in json.loads(client.hget("auth:keys", "records"))]
        return all(fresh in text for text in sealed)

    wait_until(all_renewed)
    keyring_file.write_text(added.promote(fresh).retire(old.primary.key_id, destroy=True).dump())
    restarted = start_service(redis_url=url, signing_key_kek_file=keyring_file)
    assert kid_of(get_token(restarted)) == signer


def test_a_replica_with_an_old_keyring_signs_with_its_key_until_the_keyring_arrives(
    start_service: StartService, own_redis: Any, tmp_path: Path, run: "Run"
) -> None:
    """Keys encrypted with a KEK that the replica does not have are still published; a revoked key never signs."""
    old = Keyring.generate()
    added = old.add()
    (fresh,) = {key.key_id for key in added.keys} - {key.key_id for key in old.keys}
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.write_text(old.dump())
    elsewhere.write_text(added.promote(fresh).dump())
    service = start_service(redis_url=own_redis[0], signing_key_kek_file=here)
    wait_until(lambda: len(published(service)) == 2)
    there = {"AUTH_SIGNING_KEY_KEK_FILE": str(elsewhere)}
    signer = kid_of(get_token(service))
    (following,) = set(published(service)) - {signer}
    assert run("revoke", signer, **there).returncode == 0
    wait_until(lambda: kid_of(get_token(service)) == following)
    (late,) = set(published(service)) - {following}
    assert run("revoke", following, **there).returncode == 0
    wait_until(lambda: following not in published(service))
    assert late in published(service)
    answer = service.http.post("/oauth2/token", data=DEMO)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert service.http.get("/readyz").json()["checks"]["signing_key"]["ok"] is False
    here.write_text(elsewhere.read_text())
    wait_until(lambda: service.http.post("/oauth2/token", data=DEMO).status_code == 200)
    assert kid_of(get_token(service)) == late


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(own_redis: Any, secret_files: dict[str, Path], tmp_path: Path) -> Run:
    """Runs `auth-service key`."""
    environment = {
        **os.environ,
        "AUTH_REDIS_URL": own_redis[0],
        "SECURITY_AUDIT_DIR": str(tmp_path / "audit"),
        **{f"AUTH_{name.upper()}": str(path) for name, path in secret_files.items()},
    }

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_command("auth-service", "key", *words, environment={**environment, **settings})

    return run


def on_record(client: Any) -> list[tuple[str, str]]:
    entries = [json.loads(entry["event"]) for _id, entry in client.xrange("audit:events")]
    changes = [entry for entry in entries if entry["event_type"] == "operator_change"]
    assert all("@" in entry["source_address"] for entry in changes)
    return [(entry["action_taken"], entry["reason"]) for entry in changes]


def test_the_command_revokes_a_key_and_the_service_stops_signing_with_it(
    start_service: StartService, own_redis: Any, run: Run
) -> None:
    url, client = own_redis
    service = start_service(redis_url=url)
    wait_until(lambda: len(published(service)) == 2)
    signer = kid_of(get_token(service))
    (following,) = set(published(service)) - {signer}
    assert run("revoke", signer).returncode == 0
    wait_until(lambda: signer not in published(service))
    assert kid_of(get_token(service)) == following
    [(action, keys)] = on_record(client)
    assert (action, signer in keys) == ("key_revoked", True)


def test_a_key_id_may_start_with_a_hyphen(run: Run) -> None:
    """One thumbprint in 64 does; it must not be parsed as an option."""
    refused = run("revoke", "-EA-dzP18iTBOVBn8SVsh3f42")
    assert refused.returncode == 1
    assert "the key -EA-dzP18iTBOVBn8SVsh3f42" in refused.stderr


def test_the_service_stops_although_a_cancellation_is_lost(
    secret_files: dict[str, Path], own_redis: Any, tmp_path: Path
) -> None:
    """On Python 3.11, `wait_for` (as in redis-py) can suppress a cancellation."""

    class LosingStore(KeyStore):
        def __init__(self, redis: Redis) -> None:
            super().__init__(redis)
            self.reads = 0
            self.reading = asyncio.Event()

        async def read(self) -> KeySnapshot:
            self.reads += 1
            if self.reads == 2:
                self.reading.set()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)
            raise RedisError

    async def run() -> None:
        async with Redis() as unused, Redis.from_url(own_redis[0], decode_responses=True) as used:
            identity = RedisIdentity(used, space="auth", id_file=tmp_path / "redis_identity", accept_command="accept")
            store = LosingStore(unused)
            policy = RotationPolicy(period_seconds=1, lead_seconds=0, retiring_seconds=0)
            encryption = PrivateKeyEncryption.load(secret_files["signing_key_kek_file"])
            journal = open_journal(service="auth-service", settings=SecuritySettings(audit_dir=tmp_path), redis=None)
            record = AuditRecorder(journal, clock=time.time)
            ring = SigningKeySet(
                store=store,
                identity=identity,
                encryption=encryption,
                policy=policy,
                record=record,
                clock=time.time,
                replica="one",
            )
            await ring.start()
            await store.reading.wait()
            await asyncio.wait_for(ring.stop(), timeout=30)

    asyncio.run(run())


def test_the_command_activates_the_next_key_and_the_old_one_still_verifies(
    start_service: StartService, own_redis: Any, run: Run
) -> None:
    url, client = own_redis
    service = start_service(redis_url=url)
    wait_until(lambda: len(published(service)) == 2)
    token = get_token(service)
    (following,) = set(published(service)) - {kid_of(token)}
    refused = run("rotate")
    assert (refused.returncode, kid_of(get_token(service))) == (1, kid_of(token))
    assert refused.stderr.startswith("error: the next key was published too recently")
    assert on_record(client) == []
    # As if a second were long enough, and as soon as it has passed.
    wait_until(lambda: run("rotate", AUTH_KEY_LEAD_SECONDS="1", AUTH_KEY_PERIOD_SECONDS="10").returncode == 0)
    wait_until(lambda: kid_of(get_token(service)) == following)
    keys = KeySet.import_key_set(service.http.get("/.well-known/jwks.json").json())
    assert len(keys.keys) == 3
    jwt.decode(token, keys, algorithms=["RS256"])
    [(action, moved)] = on_record(client)
    assert (action, kid_of(token) in moved) == ("key_rotated", True)
