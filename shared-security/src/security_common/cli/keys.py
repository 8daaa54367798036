"""`security-common keys`: creates a keyring, rotates its keys and re-encrypts stored data."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from security_common.cli.progress import Progress
from security_common.encryption import EncryptionKeyMissing, Keyring, KeyringInvalid, ReencryptionResult
from security_common.encryption.reencryption import EncryptedStore, installed_stores
from security_common.private_files import replace_file, write_new
from security_common.settings import SecuritySettings

__all__ = ["app"]

app = App(
    version_flags=[],
    name="keys",
    help="""The keyring of field encryption.

To rotate a key without downtime: `keys add`, `keys promote`, `keys reencrypt`, `keys retire`. Running services notice a
changed file and read it again.

Without --file the commands work on SECURITY_ENCRYPTION_KEY_FILE.
""",
)

KeyFile = Annotated[Path | None, Parameter(name="--file", help="the keyring file")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="print JSON")]

ROTATION_DUE_DAYS = 365


@app.command
def generate(path: Path | None = None) -> None:
    """Create a keyring and write it to PATH or stdout. An existing file is never replaced.

    Example: security-common keys generate keyring.json
    """
    text = Keyring.generate().dump()
    if path is None:
        sys.stdout.write(text)
        return
    try:
        write_new(path, text)
    except FileExistsError as error:
        hint = "add a key to it with `security-common keys add`; a keyring that is replaced cannot be restored"
        raise KeyringInvalid(f"{path} already exists", hint=hint) from error
    except OSError as error:
        hint = "check that the folder exists and that you can write to it"
        raise KeyringInvalid(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    print(f"created {path}; set SECURITY_ENCRYPTION_KEY_FILE={path}", file=sys.stderr)


@app.command
def add(*, file: KeyFile = None) -> None:
    """Add a key that only decrypts at first. Promote it when every replica has read the file.

    Example: security-common keys add --file keyring.json
    """
    changed = _change(file, lambda keyring: keyring.add())
    print(changed.keys[-1].key_id)


@app.command
def promote(key_id: str, *, file: KeyFile = None) -> None:
    """Make a key the primary one, which encrypts. The previous primary key still decrypts.

    Example: security-common keys promote 1f0c9a2b --file keyring.json
    """
    _change(file, lambda keyring: keyring.promote(key_id))
    print(f"{key_id} is the primary key", file=sys.stderr)


@app.command
def retire(
    key_id: str,
    *,
    destroy: Annotated[bool, Parameter(negative="", help="delete the key itself: what it encrypted is lost")] = False,
    file: KeyFile = None,
) -> None:
    """Take a key out of use. What it encrypted can be decrypted again only after `promote`.

    Example: security-common keys retire 1f0c9a2b --file keyring.json
    """
    _change(file, lambda keyring: keyring.retire(key_id, destroy=destroy))
    print(f"{key_id} is {'destroyed' if destroy else 'retired'}", file=sys.stderr)


@app.command
def status(*, file: KeyFile = None, as_json: AsJson = False) -> None:
    """List the ids and states of the keys, and whether a rotation is due. Fails if the keyring cannot be used.

    Example: security-common keys status --file keyring.json
    """
    keyring = Keyring.load(_path(file))
    created_at = keyring.primary.created_at
    rotation_due = created_at is None or (datetime.now(UTC) - created_at).days >= ROTATION_DUE_DAYS
    rows = [
        {"id": key.key_id, "state": str(key.state), "created": key.created_at.isoformat() if key.created_at else None}
        for key in keyring.keys
    ]
    if as_json:
        print(json.dumps({"rotation_due": rotation_due, "keys": rows}))
    else:
        for row in rows:
            print(f"{row['id']}  {row['state']:<12}  {row['created'] or 'at an unknown time'}")
    if rotation_due:
        hint = "rotate the primary key: `security-common keys add`, `promote`, `reencrypt`, `retire`"
        print(f"hint: {hint}", file=sys.stderr)


@app.command
def reencrypt(*, as_json: AsJson = False) -> None:
    """Re-encrypt all stored data with the primary key, while the services run.

    Works on the stores of every service installed here, with the settings of those services. It can be stopped and run
    again: finished items stay finished. Exit status 1 if an item could not be decrypted.

    Example: security-common keys reencrypt

    Example: docker compose exec mcp-resource-service security-common keys reencrypt
    """
    totals = asyncio.run(_reencrypt_all_stores())
    if as_json:
        print(json.dumps(totals))
    else:
        for total in totals:
            print("{store}: {seen} items, {renewed} renewed, {unreadable} unreadable".format_map(total))
    if any(total["unreadable"] for total in totals):
        hint = "restore the key that encrypted the unreadable items, or delete the items"
        print(f"hint: {hint}", file=sys.stderr)
        raise SystemExit(1)


async def _reencrypt_all_stores() -> list[dict[str, Any]]:
    totals: list[dict[str, Any]] = []
    for service, open_stores in installed_stores().items():
        async with open_stores() as stores:
            for name, store in stores.items():
                totals.append(await _reencrypt_store(f"{service} {name}", store))
    if not totals:
        raise KeyringInvalid(
            "no service with encrypted stores is installed here", hint="run the command where a service is installed"
        )
    return totals


async def _reencrypt_store(name: str, store: EncryptedStore) -> dict[str, Any]:
    progress = Progress(name, await store.count())
    counts: Counter[ReencryptionResult] = Counter()
    async for result in store.reencrypt():
        counts[result] += 1
        progress.advance()
    progress.clear()
    return {"store": name, "seen": counts.total()} | {str(result): counts[result] for result in ReencryptionResult}


def _path(file: Path | None) -> Path:
    path = file or SecuritySettings().encryption_key_file
    if path is None:
        raise EncryptionKeyMissing("no keyring file is given", hint="use --file or set SECURITY_ENCRYPTION_KEY_FILE")
    return path


def _change(file: Path | None, change: Callable[[Keyring], Keyring]) -> Keyring:
    """Replaces the keyring file atomically, so that a reader never reads an incomplete file."""
    path = _path(file).resolve()
    changed = change(Keyring.load(path))
    try:
        replace_file(path, changed.dump(), mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise KeyringInvalid(f"{path} cannot be changed: {error.strerror}") from error
    return changed
