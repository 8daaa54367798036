"""The key of the chain: given by file, or made beside the journal when the library is used alone."""

import base64
import hmac
import secrets
from pathlib import Path

from security_common.audit.journal_slot import make_private_directory, sync_directory
from security_common.errors import SecurityError
from security_common.private_files import write_once
from security_common.secret_files import read_secret_file
from security_common.settings import SecuritySettings

__all__ = ["LIBRARY_SERVICE", "ChainKeyInvalid", "chain_key", "chain_key_id", "load_chain_key", "read_chain_key_file"]


LIBRARY_SERVICE = "security-common"
"""The journal's service name in a program that uses the library and is no service; its chain key is made beside it."""


class ChainKeyInvalid(SecurityError):
    """The chain key file cannot be read, or holds something else than a key."""

    error = "chain_key_invalid"


def chain_key(settings: SecuritySettings, *, service: str) -> bytes:
    """The key that seals the lines of this service's journals, at least 32 bytes; made when there is none.

    A key beside the journal shows damage and accident, not an attacker who can read the folder: a service gets its key
    from SECURITY_AUDIT_CHAIN_KEY_FILE. Raises ChainKeyInvalid.
    """
    path = _key_path(settings, service)
    if settings.audit_chain_key_file is None and not path.exists():
        make_private_directory(path.parent)
        write_once(path, lambda: secrets.token_urlsafe(32))
        sync_directory(path.parent)
    return read_chain_key_file(path)


def load_chain_key(settings: SecuritySettings, *, service: str) -> bytes | None:
    """The same key for a reader, which makes none. Raises ChainKeyInvalid when a configured one cannot be read."""
    path = _key_path(settings, service)
    if settings.audit_chain_key_file is None and not path.exists():
        return None
    return read_chain_key_file(path)


def chain_key_id(key: bytes) -> str:
    """A name for a chain key that does not reveal it: the first 16 hexadecimal digits of an HMAC made with it.

    The key is 32 random bytes, so the name can't be used to guess it. Never use this for a password.
    """
    return hmac.digest(key, b"audit chain key id", "sha256").hex()[:16]


def read_chain_key_file(path: Path) -> bytes:
    """Reads a chain key file. Raises ChainKeyInvalid."""
    setting = "SECURITY_AUDIT_CHAIN_KEY_FILE"
    text = read_secret_file(path, setting=setting, error=ChainKeyInvalid, hint=_HINT)
    try:
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:  # no `from`: the cause can quote the key
        raise ChainKeyInvalid(f"the audit chain key {path} is not base64url", hint=_HINT) from None
    if len(key) < 32:
        raise ChainKeyInvalid(f"the audit chain key {path} is shorter than 32 bytes", hint=_HINT)
    return key


def _key_path(settings: SecuritySettings, service: str) -> Path:
    return settings.audit_chain_key_file or settings.audit_dir / service / "chain_key"


_HINT = "it is one line of base64url that holds 32 random bytes; `security-common setup` makes one"
