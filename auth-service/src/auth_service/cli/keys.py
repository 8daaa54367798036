"""`auth-service key ...`: the signing keys."""

import time
from datetime import UTC, datetime
from functools import partial

from cyclopts import App
from redis.asyncio import Redis

from auth_service.cli.connection import Json, print_rows, run
from auth_service.keys.record import KeyRecord
from auth_service.keys.ring import make_record
from auth_service.keys.rotation import revoke
from auth_service.keys.sealing import Sealer
from auth_service.keys.store import KeyStore
from auth_service.settings import AuthSettings
from security_common.errors import SecurityError

__all__ = ["keys"]

keys = App(
    name="key", help="Signing keys: list, revoke. They are made and rotated without you.", result_action="return_value"
)


class KeyRefused(SecurityError):
    """The command cannot do this to this key."""

    error = "key_refused"


@keys.command(name="list")
def list_keys(*, json: Json = False) -> None:
    """The published keys and their states.

    For example: auth-service key list
    """

    async def work(_settings: AuthSettings, redis: Redis) -> tuple[KeyRecord, ...]:
        return (await KeyStore(redis).read()).records

    rows = [
        {"key_id": record.key_id, "state": record.state.value, "since": _iso(record.changed_at_seconds)}
        for record in run(work)
    ]
    print_rows(rows, as_json=json)


@keys.command(name="revoke")
def revoke_key(key_id: str) -> None:
    """Take a key out of use: replicas stop signing with it within seconds, the published next key takes over.

    Tokens it signed are refused as soon as verifiers have fetched the key set again.

    For example: auth-service key revoke hZ0yL6XOmFzF2hcBQk4W9cQ
    """

    async def work(settings: AuthSettings, redis: Redis) -> None:
        store, sealer = KeyStore(redis), Sealer.load(settings.signing_key_kek_file)
        while True:
            snapshot = await store.read()
            if key_id not in {record.key_id for record in snapshot.records}:
                raise KeyRefused(f"there is no key {key_id}", hint="`auth-service key list` shows the ids")
            now = time.time()
            rest = revoke(snapshot.records, key_id, now, partial(make_record, now=now, sealer=sealer))
            if await store.swap(snapshot.version, rest):
                return

    run(work)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
