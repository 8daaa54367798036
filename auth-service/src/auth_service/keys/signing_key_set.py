"""The signing keys of this replica: it signs with the active one, publishes all of them, and keeps them up to date."""

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
from auth_service.keys.signing_key import PrivateKeyEncryption, SigningKey, make_key
from auth_service.keys.store import KeySnapshot, KeyStore
from auth_service.protocol import Clock
from security_common.audit import Action, EventType, JournalUnavailable
from security_common.errors import SecurityError
from security_common.service import RedisIdentity, RedisReplaced, StateMismatch
from security_common.task_cancellation import cancel_tasks

__all__ = ["PublishedKeys", "SigningKeySet"]

# The longest time between two reads of the keys by a replica. If Redis is available, every replica has stopped signing
# with a revoked key after this time. With a short lead time replicas read more often, so that each of them publishes a
# key well before any of them signs with it.
_MAX_POLL_SECONDS = 2.0
_LEASE_SECONDS = 15
_SWAP_ATTEMPTS = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The JWK Set document, its strong entity tag, and the same keys for verification."""

    document: bytes
    etag: str
    key_set: KeySet


class SigningKeySet:
    """Signs with the active key and publishes all keys. Implements `tokens.issued_tokens.Signer`."""

    def __init__(
        self,
        *,
        store: KeyStore,
        identity: RedisIdentity,
        encryption: PrivateKeyEncryption,
        policy: RotationPolicy,
        record: AuditRecorder,
        clock: Clock,
        replica: str,
    ) -> None:
        self._store = store
        self._identity = identity
        self._redis_was_replaced = False
        self._encryption = encryption
        self._policy = policy
        self._record = record
        self._clock = clock
        self._replica = replica
        self._records: tuple[SigningKeyRecord, ...] = ()
        self._signing_key: SigningKey | None = None
        self._active_since_seconds = 0.0
        self._published_keys = _publish(())
        self._task: asyncio.Task[None] | None = None

    @property
    def published_keys(self) -> PublishedKeys:
        return self._published_keys

    @property
    def ready(self) -> bool:
        """True once a signing key is loaded."""
        return self._signing_key is not None

    @property
    def active_age_seconds(self) -> float:
        return self._clock() - self._active_since_seconds if self._signing_key else 0.0

    async def sign(self, claims: Mapping[str, Any], *, token_type: str) -> str:
        """A compact RS256 JWS. Raises `TemporarilyUnavailable` while no key is loaded."""
        if self._signing_key is None:
            raise TemporarilyUnavailable("no signing key is loaded yet", retry_after_seconds=2)
        return self._signing_key.sign(claims, token_type=token_type)

    async def start(self) -> None:
        """Loads the keys, creates the first one if there is none, and starts the task that refreshes them."""
        try:
            await self.refresh()
        except (RedisError, StateMismatch) as error:
            log.warning("signing_keys_not_loaded", cause=type(error).__name__)
        self._task = asyncio.create_task(self._keep_fresh(), name="signing-keys")

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_tasks(self._task)

    async def refresh(self) -> None:
        """Reads the keys, and makes the due state changes if this replica holds the rotation lease or no key is active.

        Raises `RedisReplaced`: then no key is created or changed, and the keys in memory stay in use. When an operator
        accepts the new Redis, the keys in memory are written to it if it has none; otherwise its own keys are used.
        """
        snapshot = await self._read()
        if self._redis_was_replaced and not snapshot.records and self._records:
            await self._store.swap(snapshot.version, self._records)
            snapshot = await self._read()
        self._redis_was_replaced = False
        has_active_key = find(snapshot.records, SigningKeyState.ACTIVE) is not None
        if not has_active_key or await self._store.hold_rotation_lease(self._replica, _LEASE_SECONDS):
            snapshot = await self._advance(snapshot)
        await self._adopt(snapshot)

    async def _advance(self, snapshot: KeySnapshot) -> KeySnapshot:
        for _ in range(_SWAP_ATTEMPTS):
            advanced = await asyncio.to_thread(self._apply_rotation, snapshot.records)
            if advanced == snapshot.records:
                return snapshot
            if await self._store.swap(snapshot.version, advanced):
                await self._record_change(advanced)
                return KeySnapshot(snapshot.version + 1, advanced)
            snapshot = await self._read()
        return snapshot

    async def _read(self) -> KeySnapshot:
        """The keys in Redis. Raises `RedisReplaced` if it is not the Redis that was used before."""
        snapshot = await self._store.read()
        try:
            await self._identity.check()
        except RedisReplaced:
            self._redis_was_replaced = True
            raise
        return snapshot

    async def _record_change(self, records: tuple[SigningKeyRecord, ...]) -> None:
        states = " ".join(f"{record.state}={record.key_id}" for record in records)
        log.info("signing_keys_changed", keys=states)
        try:
            await self._record(None, event_type=EventType.KEY_CHANGE, action=Action.KEY_STATES_CHANGED, reason=states)
        except JournalUnavailable as error:
            # The change already applies to every replica.
            log.warning("signing_key_change_not_recorded", cause=error.description)

    def _apply_rotation(self, records: tuple[SigningKeyRecord, ...]) -> tuple[SigningKeyRecord, ...]:
        """The records with due state changes, and every private key under the primary KEK."""
        now = self._clock()
        advanced = advance(records, now, self._policy, partial(make_key, now=now, encryption=self._encryption))
        return tuple(self._encryption.reencrypt(record) for record in advanced)

    async def _adopt(self, snapshot: KeySnapshot) -> None:
        """Publishes the keys, and makes the active one the signing key.

        Raises `SecurityError` if the active key cannot be decrypted. The keys are published even then, and the next
        refresh tries again, because `_records` has not changed.
        """
        if snapshot.records == self._records:
            return
        try:
            await self._load_active(find(snapshot.records, SigningKeyState.ACTIVE))
        except SecurityError:
            if self._signing_key and all(self._signing_key.key_id != record.key_id for record in snapshot.records):
                self._signing_key = None  # the key was revoked: no tokens are issued until the new one can be decrypted
            raise
        finally:
            self._published_keys = _publish(snapshot.records)
        self._records = snapshot.records

    async def _load_active(self, active: SigningKeyRecord | None) -> None:
        if active is None or active.encrypted_private_key is None:
            return
        if self._signing_key is None or self._signing_key.key_id != active.key_id:
            pem = self._encryption.decrypt(active.encrypted_private_key, key_id=active.key_id)
            self._signing_key = await asyncio.to_thread(SigningKey, active.key_id, pem)
        self._active_since_seconds = active.changed_at_seconds

    async def _keep_fresh(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(min(_MAX_POLL_SECONDS, self._policy.lead_seconds / 4))
            try:
                await self.refresh()
                failing = False
            except (RedisError, OSError, SecurityError) as error:
                # The key in memory continues to sign: tokens are issued while Redis is unavailable, and while the
                # keyring file of this replica does not yet have the key with which another replica encrypted the
                # active signing key.
                if not failing:
                    log.warning("signing_keys_not_refreshed", cause=type(error).__name__)
                failing = True


def _publish(records: tuple[SigningKeyRecord, ...]) -> PublishedKeys:
    keys = [dict(record.public_jwk) for record in records]
    document = json.dumps({"keys": keys}, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    return PublishedKeys(document, etag, KeySet([RSAKey.import_key(key) for key in keys]))
