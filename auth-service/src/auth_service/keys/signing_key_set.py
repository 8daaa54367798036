"""The keys of this replica: what it signs with, what the key set says, and the task that keeps both up to date."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from joserfc.jwk import KeySet, RSAKey
from redis.exceptions import RedisError

from auth_service.audit_recorder import AuditRecorder
from auth_service.errors import TemporarilyUnavailable
from auth_service.keys.rotation import RotationPolicy, SigningKeyRecord, SigningKeyState, advance, find
from auth_service.keys.signing_key import PrivateKeyEncryption, SigningKey, make_private_pem, public_jwk_of
from auth_service.keys.store import KeySnapshot, KeyStore
from auth_service.protocol import Clock
from security_common.audit import Action, EventType, JournalUnavailable
from security_common.errors import SecurityError
from security_common.service import RedisIdentity, RedisReplaced
from security_common.task_cancellation import cancel_tasks

__all__ = ["PublishedKeys", "SigningKeySet", "make_record"]

# How often a replica looks whether the keys changed: a revoked key stops signing everywhere within this time. A short
# lead shortens it, so that every replica publishes a key well before any signs with it.
_LONGEST_POLL_SECONDS = 2.0
_LEASE_SECONDS = 15
_SWAP_ATTEMPTS = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The key set document, its strong entity tag, and the same keys ready to verify with."""

    document: bytes
    etag: str
    key_set: KeySet


class SigningKeySet:
    """Signs with the active key and publishes all of them. Implements `tokens.minter.Signer`."""

    def __init__(
        self,
        *,
        store: KeyStore,
        identity: RedisIdentity,
        sealer: PrivateKeyEncryption,
        policy: RotationPolicy,
        record: AuditRecorder,
        clock: Clock,
        replica: str,
    ) -> None:
        self._store = store
        self._identity = identity
        self._was_replaced = False
        self._sealer = sealer
        self._policy = policy
        self._record = record
        self._clock = clock
        self._replica = replica
        self._records: tuple[SigningKeyRecord, ...] = ()
        self._signing: SigningKey | None = None
        self._active_since_seconds = 0.0
        self._published = _publish(())
        self._task: asyncio.Task[None] | None = None

    @property
    def published(self) -> PublishedKeys:
        return self._published

    @property
    def ready(self) -> bool:
        """True once there is a key to sign with."""
        return self._signing is not None

    @property
    def active_age_seconds(self) -> float:
        return self._clock() - self._active_since_seconds if self._signing else 0.0

    async def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """A compact RS256 JWS. Raises `TemporarilyUnavailable` while there is no key yet."""
        if self._signing is None:
            raise TemporarilyUnavailable("no signing key is loaded yet", retry_after_seconds=2)
        return self._signing.sign(claims, token_type=token_type)

    async def start(self) -> None:
        """Loads the keys, making the first one if there is none, and goes on looking after them."""
        try:
            await self.refresh()
        except (RedisError, RedisReplaced) as error:
            log.warning("keys not loaded yet", cause=type(error).__name__)
        self._task = asyncio.create_task(self._keep_fresh(), name="signing-keys")

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_tasks(self._task)

    async def refresh(self) -> None:
        """Reads the records, and moves them on when this replica leads or nobody has made a key yet.

        Raises `RedisReplaced`: then nothing is made or changed, and the keys in memory stay in use. When an operator
        accepts the Redis that took the place of another, it is given the keys that are in use.
        """
        snapshot = await self._read()
        if self._was_replaced and not snapshot.records and self._records:
            await self._store.swap(snapshot.version, self._records)
            snapshot = await self._read()
        self._was_replaced = False
        if find(snapshot.records, SigningKeyState.ACTIVE) is None or await self._store.lead(
            self._replica, _LEASE_SECONDS
        ):
            snapshot = await self._advance(snapshot)
        await self._adopt(snapshot)

    async def _advance(self, snapshot: KeySnapshot) -> KeySnapshot:
        for _ in range(_SWAP_ATTEMPTS):
            moved = await asyncio.to_thread(self._move_on, snapshot.records)
            if moved == snapshot.records:
                return snapshot
            if await self._store.swap(snapshot.version, moved):
                await self._put_on_record(moved)
                return KeySnapshot(snapshot.version + 1, moved)
            snapshot = await self._read()
        return snapshot

    async def _read(self) -> KeySnapshot:
        """The records, when they come from the Redis that was used before. Raises `RedisReplaced`."""
        snapshot = await self._store.read()
        try:
            await self._identity.check()
        except RedisReplaced:
            self._was_replaced = True
            raise
        return snapshot

    async def _put_on_record(self, records: tuple[SigningKeyRecord, ...]) -> None:
        states = " ".join(f"{record.state}={record.key_id}" for record in records)
        log.info("signing keys moved on", keys=states)
        try:
            await self._record(None, event_type=EventType.KEY_CHANGE, action=Action.MOVED_ON, reason=states)
        except JournalUnavailable as error:
            # The keys have moved for every replica already.
            log.warning("a change of the signing keys is not on record", cause=error.description)

    def _move_on(self, records: tuple[SigningKeyRecord, ...]) -> tuple[SigningKeyRecord, ...]:
        """What is due, and every private key under today's KEK."""
        now = self._clock()
        moved = advance(records, now, self._policy, partial(make_record, now=now, sealer=self._sealer))
        return tuple(self._sealer.renew(record) for record in moved)

    async def _adopt(self, snapshot: KeySnapshot) -> None:
        if snapshot.records == self._records:
            return
        try:
            await self._take_up(find(snapshot.records, SigningKeyState.ACTIVE))
        except SecurityError:
            if self._signing and all(self._signing.key_id != record.key_id for record in snapshot.records):
                self._signing = None  # revoked: better no token than one of this key
            raise
        finally:
            self._published = _publish(snapshot.records)
        self._records = snapshot.records

    async def _take_up(self, active: SigningKeyRecord | None) -> None:
        if active is None or active.sealed_private_key is None:
            return
        if self._signing is None or self._signing.key_id != active.key_id:
            pem = self._sealer.open(active.sealed_private_key, key_id=active.key_id)
            self._signing = await asyncio.to_thread(SigningKey, active.key_id, pem)
        self._active_since_seconds = active.changed_at_seconds

    async def _keep_fresh(self) -> None:
        away = False
        while True:
            await asyncio.sleep(min(_LONGEST_POLL_SECONDS, self._policy.lead_seconds / 4))
            try:
                await self.refresh()
                away = False
            except (RedisError, OSError, SecurityError) as error:
                # What is in memory goes on signing: an outage of Redis must not become one of the tokens, nor a
                # keyring that another replica has and this one has not yet.
                if not away:
                    log.warning("signing keys cannot be refreshed", cause=type(error).__name__)
                away = True


def make_record(state: SigningKeyState, *, now: float, sealer: PrivateKeyEncryption) -> SigningKeyRecord:
    """A fresh key in this state; slow, see `make_private_pem`."""
    pem = make_private_pem()
    public = public_jwk_of(pem)
    return SigningKeyRecord(
        key_id=public["kid"],
        state=state,
        public_jwk=public,
        sealed_private_key=sealer.seal(pem, key_id=public["kid"]),
        created_at_seconds=now,
        changed_at_seconds=now,
    )


def _publish(records: tuple[SigningKeyRecord, ...]) -> PublishedKeys:
    keys = [dict(record.public_jwk) for record in records]
    document = json.dumps({"keys": keys}, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    return PublishedKeys(document, etag, KeySet([RSAKey.import_key(key) for key in keys]))
