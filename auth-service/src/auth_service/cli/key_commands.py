"""`auth-service key ...`: the signing keys."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, TypeAlias

from cyclopts import App, Parameter
from redis.asyncio import Redis

from auth_service.cli.operator_session import Operator, run_audited_change, run_with_redis
from auth_service.cli.output import Json, format_time, print_rows
from auth_service.keys.rotation import MakeKey, RotationPolicy, SigningKeyRecord, SigningKeyState, advance, find, revoke
from auth_service.keys.signing_key import PrivateKeyEncryption, make_key
from auth_service.keys.store import KeyStore
from auth_service.settings import AuthSettings
from security_common.audit import Action
from security_common.errors import SecurityError

__all__ = ["keys"]

Records: TypeAlias = tuple[SigningKeyRecord, ...]

# A thumbprint may start with a hyphen.
KeyId = Annotated[str, Parameter(allow_leading_hyphen=True)]

keys = App(
    name="key",
    help="Signing keys: list, rotate, revoke. They are created and rotated automatically.",
    result_action="return_value",
    version_flags=[],
)


class KeyRefused(SecurityError):
    """The command is not possible for this key."""

    error = "key_refused"


@keys.command(name="list")
def list_keys(*, json: Json = False) -> None:
    """Show the published keys and their states.

    For example: auth-service key list
    """

    async def work(_settings: AuthSettings, redis: Redis) -> tuple[SigningKeyRecord, ...]:
        return (await KeyStore(redis).read()).records

    rows = [
        {"key_id": record.key_id, "state": record.state.value, "since": format_time(record.changed_at_seconds)}
        for record in run_with_redis(work)
    ]
    print_rows(rows, as_json=json)


@keys.command(name="revoke")
def revoke_key(key_id: KeyId) -> None:
    """Revoke a key: replicas stop signing with it within seconds, and the published next key becomes active.

    Its tokens are refused once verifiers have fetched the key set again: the resource service does so every ten
    seconds, API Management within an hour.

    For example: auth-service key revoke hZ0yL6XOmFzF2hcBQk4W9cQ
    """

    def without_key(records: Records, now: float, make_key: MakeKey) -> Records:
        if key_id not in {record.key_id for record in records}:
            raise KeyRefused(f"the key {key_id} does not exist", hint="`auth-service key list` shows the ids")
        return revoke(records, key_id, now, make_key)

    _swap(Action.KEY_REVOKED, without_key)


@keys.command
def rotate() -> None:
    """Make the next key active now, as the schedule would later. The old key verifies its tokens until they expire.

    Refused while verifiers may not have the next key yet. If a key has leaked, revoke it instead.

    For example: auth-service key rotate
    """
    policy = replace(RotationPolicy.of(AuthSettings()), period_seconds=0)

    def rotated(records: Records, now: float, make_key: MakeKey) -> Records:
        moved = advance(records, now, policy, make_key)
        if find(moved, SigningKeyState.ACTIVE) == find(records, SigningKeyState.ACTIVE):
            hint = (
                f"a key is published for {policy.lead_seconds} s before it replaces another one; "
                "see `auth-service key list`"
            )
            raise KeyRefused("the next key was published too recently", hint=hint)
        return moved

    _swap(Action.KEYS_ROTATED_BY_OPERATOR, rotated)


def _swap(action: Action, change: Callable[[Records, float, MakeKey], Records]) -> None:
    """Applies the change and records the keys that it changed. Starts again if a replica has changed them meanwhile."""

    async def work(operator: Operator) -> None:
        store = KeyStore(operator.redis)
        encryption = PrivateKeyEncryption.load(operator.settings.signing_key_kek_file)
        while True:
            snapshot, now = await store.read(), time.time()
            new_records = change(snapshot.records, now, partial(make_key, now=now, encryption=encryption))
            if await store.swap(snapshot.version, new_records):
                break
        changed = {record.key_id for record in snapshot.records if record not in new_records}
        await operator.record(action, reason=" ".join(sorted(changed)))

    run_audited_change(work)
