"""`security-common keys`: make a keyring and lead its keys through their states."""

import asyncio
import json
import os
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
from security_common.private_files import write_new
from security_common.settings import SecuritySettings

__all__ = ["app"]

app = App(
    version_flags=[],
    name="keys",
    help="""The keyring of field encryption.

To replace a key without downtime: `keys add`, then `keys promote`, re-encrypt what is stored, `keys retire`. Running
services read a changed file again by themselves.

Without --file the commands work on SECURITY_ENCRYPTION_KEY_FILE.
""",
)

KeyFile = Annotated[Path | None, Parameter(name="--file", help="the keyring file")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="print JSON")]

ROTATION_DUE_DAYS = 365


@app.command
def generate(path: Path | None = None) -> None:
    """Make a new keyring, in PATH or on stdout. An existing file is never replaced.

    Example: security-common keys generate keyring.json
    """
    text = Keyring.generate().dump()
    if path is None:
        sys.stdout.write(text)
        return
    try:
        write_new(path, text)
    except FileExistsError as error:
        hint = "to put a new key into it, use `security-common keys add`; a keyring that is replaced cannot be restored"
        raise KeyringInvalid(f"{path} exists already", hint=hint) from error
    except OSError as error:
        hint = "check that the folder exists and that you may write there"
        raise KeyringInvalid(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    print(f"made {path}; set SECURITY_ENCRYPTION_KEY_FILE={path}", file=sys.stderr)


@app.command
def add(*, file: KeyFile = None) -> None:
    """Add a key that only decrypts yet. Promote it once every replica has read it.

    Example: security-common keys add --file keyring.json
    """
    changed = _change(file, lambda keyring: keyring.add())
    print(changed.keys[-1].key_id)


@app.command
def promote(key_id: str, *, file: KeyFile = None) -> None:
    """Let a key encrypt from now on; the one before goes on decrypting.

    Example: security-common keys promote 1f0c9a2b --file keyring.json
    """
    _change(file, lambda keyring: keyring.promote(key_id))
    print(f"{key_id} is the primary key", file=sys.stderr)


@app.command
def retire(
    key_id: str,
    *,
    destroy: Annotated[bool, Parameter(negative="", help="forget the key itself: what it encrypted is lost")] = False,
    file: KeyFile = None,
) -> None:
    """Take a key out of use. What it encrypted can be read again only after `promote`.

    Example: security-common keys retire 1f0c9a2b --file keyring.json
    """
    _change(file, lambda keyring: keyring.retire(key_id, destroy=destroy))
    print(f"{key_id} is {'destroyed' if destroy else 'retired'}", file=sys.stderr)


@app.command
def status(*, file: KeyFile = None, as_json: AsJson = False) -> None:
    """List the keys, never a key itself, and say whether a new one is due. Fails where the keyring cannot be used.

    Example: security-common keys status --file keyring.json
    """
    keyring = Keyring.load(_path(file))
    made_at = keyring.primary.created_at
    due = made_at is None or (datetime.now(UTC) - made_at).days >= ROTATION_DUE_DAYS
    rows = [
        {"id": key.key_id, "state": str(key.state), "created": key.created_at and key.created_at.isoformat()}
        for key in keyring.keys
    ]
    lines = (f"{row['id']}  {row['state']:<12}  {row['created'] or 'at an unknown time'}" for row in rows)
    print(json.dumps({"rotation_due": due, "keys": rows}) if as_json else "\n".join(lines))
    if due:
        print("hint: rotate it: `security-common keys add`, `promote`, `reencrypt`, `retire`", file=sys.stderr)


@app.command
def reencrypt(*, as_json: AsJson = False) -> None:
    """Bring everything stored under the primary key, beside running services.

    Works on the stores of every service installed here, with the settings of those services. It may be stopped and run
    again: what is done stays done. Exit status 1 when something could not be read.

    Example: security-common keys reencrypt

    Example: docker compose exec mcp-resource-service security-common keys reencrypt
    """
    done = asyncio.run(_renew_all())
    line = "{store}: {seen} items, {renewed} renewed, {unreadable} unreadable"
    print(json.dumps(done) if as_json else "\n".join(map(line.format_map, done)))
    if any(each["unreadable"] for each in done):
        print("hint: bring back the key they were made with, or delete them", file=sys.stderr)
        raise SystemExit(1)


async def _renew_all() -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    for service, open_stores in installed_stores().items():
        async with open_stores() as stores:
            for name, store in stores.items():
                done.append(await _renew(f"{service} {name}", store))
    if not done:
        raise KeyringInvalid("no service with encrypted stores is installed here", hint="run it beside a service")
    return done


async def _renew(name: str, store: EncryptedStore) -> dict[str, Any]:
    progress = Progress(name, await store.count())
    counts: Counter[ReencryptionResult] = Counter()
    async for renewal in store.reencrypt():
        counts[renewal] += 1
        progress.advance()
    progress.clear()
    return {"store": name, "seen": counts.total()} | {str(each): counts[each] for each in ReencryptionResult}


def _path(file: Path | None) -> Path:
    if (path := file or SecuritySettings().encryption_key_file) is None:
        raise EncryptionKeyMissing("no keyring file is named", hint="give --file or set SECURITY_ENCRYPTION_KEY_FILE")
    return path


def _change(file: Path | None, change: Callable[[Keyring], Keyring]) -> Keyring:
    """Puts the changed keyring in the old one's place at once, so that no reader sees half a file."""
    path = _path(file).resolve()
    changed = change(Keyring.load(path))
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_new(fresh, changed.dump())
        fresh.chmod(path.stat().st_mode & 0o777)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise KeyringInvalid(f"{path} cannot be changed: {error.strerror}") from error
    return changed
