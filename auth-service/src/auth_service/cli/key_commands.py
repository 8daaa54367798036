"""`auth-service key ...`: the signing keys."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, TypeAlias

from cyclopts import App, Parameter
from redis.asyncio import Redis

from auth_service.cli.operator import Json, Operator, as_time, change, print_rows, run
from auth_service.keys.rotation import MakeKey, RotationPolicy, SigningKeyRecord, SigningKeyState, advance, find, revoke
from auth_service.keys.signing_key import PrivateKeyEncryption, make_key
from auth_service.keys.store import KeyStore
from auth_service.settings import AuthSettings
from security_common.audit import Action
from security_common.errors import SecurityError

__all__ = ["keys"]

Records: TypeAlias = tuple[SigningKeyRecord, ...]

keys = App(
    name="key",
    help="Signing keys: list, rotate, revoke. They are made and rotated without you.",
    result_action="return_value",
    version_flags=[],
)


class KeyRefused(SecurityError):
    """The command cannot do this to this key."""

    error = "key_refused"


@keys.command(name="list")
def list_keys(*, json: Json = False) -> None:
    """The published keys and their states.

    For example: auth-service key list
    """

    async def work(_settings: AuthSettings, redis: Redis) -> tuple[SigningKeyRecord, ...]:
        return (await KeyStore(redis).read()).records

    rows = [
        {"key_id": record.key_id, "state": record.state.value, "since": as_time(record.changed_at_seconds)}
        for record in run(work)
    ]
    print_rows(rows, as_json=json)


@keys.command(name="revoke")
def revoke_key(key_id: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:  # a thumbprint may begin with it
    """Take a key out of use: replicas stop signing with it within seconds, the published next key takes over.

    Tokens it signed are refused as soon as verifiers have fetched the key set again: the resource service does so every
    ten seconds, API Management within an hour.

    For example: auth-service key revoke hZ0yL6XOmFzF2hcBQk4W9cQ
    """

    def revoked(records: Records, now: float, make_key: MakeKey) -> Records:
        if key_id not in {record.key_id for record in records}:
            raise KeyRefused(f"there is no key {key_id}", hint="`auth-service key list` shows the ids")
        return revoke(records, key_id, now, make_key)

    _swap(Action.KEY_REVOKED, revoked)


@keys.command
def rotate() -> None:
    """Move on to the next key now, as the schedule would: the present one verifies its tokens until they expire.

    Refused while verifiers may not know the next key yet; a key that leaked is revoked instead.

    For example: auth-service key rotate
    """
    policy = replace(RotationPolicy.of(AuthSettings()), period_seconds=0)

    def rotated(records: Records, now: float, make_key: MakeKey) -> Records:
        moved = advance(records, now, policy, make_key)
        if find(moved, SigningKeyState.ACTIVE) == find(records, SigningKeyState.ACTIVE):
            hint = (
                f"a key is published {policy.lead_seconds} s before it signs; `auth-service key list` says since when"
            )
            raise KeyRefused("the next key was published too recently", hint=hint)
        return moved

    _swap(Action.KEY_ROTATED, rotated)


def _swap(action: Action, step: Callable[[Records, float, MakeKey], Records]) -> None:
    """Makes the step, again from the start when a replica was quicker, and records what signed until then."""

    async def work(operator: Operator) -> None:
        store = KeyStore(operator.redis)
        encryption = PrivateKeyEncryption.load(operator.settings.signing_key_kek_file)
        while True:
            snapshot, now = await store.read(), time.time()
            stepped = step(snapshot.records, now, partial(make_key, now=now, encryption=encryption))
            if await store.swap(snapshot.version, stepped):
                break
        gone = {record.key_id for record in snapshot.records if record not in stepped}
        await operator.record(action, reason=" ".join(sorted(gone)))

    change(work)
