"""`security-common keys`: make a keyring and lead its keys through their states."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from security_common.encryption import EncryptionKeyMissing, Keyring, KeyringInvalid
from security_common.settings import SecuritySettings

__all__ = ["app"]

app = App(
    name="keys",
    help="""The keyring of field encryption.

To replace a key without downtime: `keys add`, then `keys promote`, re-encrypt what is stored, `keys retire`. Running
services read a changed file again by themselves.

Without --file the commands work on SECURITY_ENCRYPTION_KEY_FILE.
""",
)

KeyFile = Annotated[Path | None, Parameter(name="--file", help="the keyring file")]


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
        _write_new(path, text)
    except FileExistsError:
        raise KeyringInvalid(
            f"{path} exists already", hint="`security-common keys add` puts a new key into it"
        ) from None
    except OSError as error:
        raise KeyringInvalid(f"{path} cannot be written", hint=str(error.strerror)) from error
    print(f"made {path}; set SECURITY_ENCRYPTION_KEY_FILE={path}", file=sys.stderr)


@app.command
def add(*, file: KeyFile = None) -> None:
    """Add a key that only decrypts yet. Promote it once every replica has read it."""
    changed = _change(file, lambda keyring: keyring.add())
    print(changed.keys[-1].key_id)


@app.command
def promote(key_id: str, *, file: KeyFile = None) -> None:
    """Let a key encrypt from now on; the one before goes on decrypting."""
    _change(file, lambda keyring: keyring.promote(key_id))
    print(f"{key_id} is the primary key", file=sys.stderr)


@app.command
def retire(
    key_id: str,
    *,
    destroy: Annotated[bool, Parameter(negative="", help="forget the key itself: what it encrypted is lost")] = False,
    file: KeyFile = None,
) -> None:
    """Take a key out of use. What it encrypted can be read again only after `promote`."""
    _change(file, lambda keyring: keyring.retire(key_id, destroy=destroy))
    print(f"{key_id} is {'destroyed' if destroy else 'retired'}", file=sys.stderr)


@app.command(name="list")
def show(*, file: KeyFile = None, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """List the keys: id, state, when made. Never the key."""
    rows = [
        {"id": key.key_id, "state": str(key.state), "created": key.created_at and key.created_at.isoformat()}
        for key in Keyring.load(_path(file)).keys
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['id']}  {row['state']:<12}  {row['created'] or '-'}")


@app.command
def status(*, file: KeyFile = None) -> None:
    """Check that the keyring can be used, and say what is due."""
    keyring = Keyring.load(_path(file))
    print(f"primary {keyring.primary.key_id}, {len(keyring.keys)} keys")


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
        _write_new(fresh, changed.dump())
        fresh.chmod(path.stat().st_mode & 0o777)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise KeyringInvalid(f"{path} cannot be changed", hint=str(error.strerror)) from error
    return changed


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
