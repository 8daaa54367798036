"""The key that seals the journal lines: read from a file, or created beside the journal of a library user.

It is named after the chain of lines, but only the seals need it; the links between the lines need no key.
"""

import base64
import secrets
from pathlib import Path

from security_common.errors import SecurityError
from security_common.private_files import make_private_directory, write_once
from security_common.secret_files import key_fingerprint, read_secret_file
from security_common.settings import SecuritySettings

__all__ = [
    "LIBRARY_SERVICE",
    "ChainKeyInvalid",
    "chain_key_id",
    "find_chain_key",
    "read_chain_key_file",
    "read_or_create_chain_key",
]

LIBRARY_SERVICE = "security-common"
"""The service name of the journal of a program that uses the library and is not one of the services."""


class ChainKeyInvalid(SecurityError):
    """The chain key file cannot be read, or its content is not a valid key."""

    error = "chain_key_invalid"
    client_text = "this server has no usable audit key (its operator finds the cause in the log)"


def read_or_create_chain_key(settings: SecuritySettings, *, service: str) -> bytes:
    """The chain key of a service's journals, at least 32 bytes. Creates one if none is configured and none exists.

    A key beside the journal detects damage and accidents, but not an attacker who can read the directory. A service
    therefore gets its key from SECURITY_AUDIT_CHAIN_KEY_FILE. Raises ChainKeyInvalid.
    """
    path = _key_path(settings, service)
    if settings.audit_chain_key_file is None and not path.exists():
        make_private_directory(path.parent)
        write_once(path, lambda: secrets.token_urlsafe(32))
    return read_chain_key_file(path)


def find_chain_key(settings: SecuritySettings, *, service: str) -> bytes | None:
    """The same key for a reader: None if none is configured and none exists. Raises ChainKeyInvalid."""
    path = _key_path(settings, service)
    if settings.audit_chain_key_file is None and not path.exists():
        return None
    return read_chain_key_file(path)


def chain_key_id(key: bytes) -> str:
    """An id of a chain key that does not reveal it: the first 16 hexadecimal digits of an HMAC made with the key.

    This is safe because the key is 32 random bytes. It would not be safe for a password.
    """
    return key_fingerprint(key, b"audit chain key id")


def read_chain_key_file(path: Path) -> bytes:
    """Reads a chain key file. Raises ChainKeyInvalid."""
    text = read_secret_file(path, setting="SECURITY_AUDIT_CHAIN_KEY_FILE", error=ChainKeyInvalid, hint=_HINT)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        # Raised without its cause, whose text can contain the key.
        raise ChainKeyInvalid(f"the audit chain key {path} is not valid base64url", hint=_HINT) from None
    if len(key) < 32:
        raise ChainKeyInvalid(f"the audit chain key {path} is shorter than 32 bytes", hint=_HINT)
    return key


def _key_path(settings: SecuritySettings, service: str) -> Path:
    return settings.audit_chain_key_file or settings.audit_dir / service / "chain_key"


_HINT = "the file has one line: 32 random bytes in base64url; `security-common setup` creates one"
