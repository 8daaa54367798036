"""The key of the chain: given by file, or made beside the journal when the library is used alone."""

import base64
import os
from pathlib import Path

from security_common.errors import SecurityError
from security_common.journal.slot import make_private_directory, sync_directory
from security_common.settings import SecuritySettings

__all__ = ["ChainKeyInvalid", "chain_key"]


class ChainKeyInvalid(SecurityError):
    """The chain key file cannot be read, or holds something else than a key."""

    error = "chain_key_invalid"


def chain_key(settings: SecuritySettings, *, service: str) -> bytes:
    """The key that seals the lines of this service's journals, at least 32 bytes.

    A key beside the journal shows damage and accident, not an attacker who can read the folder: a service gets its key
    from SECURITY_AUDIT_CHAIN_KEY_FILE.
    """
    if settings.audit_chain_key_file is not None:
        return _read(settings.audit_chain_key_file)
    path = settings.audit_dir / service / "chain_key"
    if not path.exists():
        _make(path)
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        key = base64.urlsafe_b64decode(_padded(path.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise ChainKeyInvalid(f"the audit chain key {path} cannot be read", hint=_HINT) from error
    if len(key) < 32:
        raise ChainKeyInvalid(f"the audit chain key {path} is shorter than 32 bytes", hint=_HINT)
    return key


def _make(path: Path) -> None:
    """Two processes may start at once: the key appears whole, and the first one wins."""
    make_private_directory(path.parent)
    candidate = path.with_name(f"chain_key.{os.getpid()}")
    descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, base64.urlsafe_b64encode(os.urandom(32)) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(candidate, path)
    except FileExistsError:
        return
    finally:
        candidate.unlink()
    sync_directory(path.parent)


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


_HINT = "it is one line of base64url that holds 32 random bytes; `security-common setup` makes one"
