"""Secrets come from files that settings name."""

from pathlib import Path
from typing import ClassVar

from security_common.errors import SecurityError

__all__ = ["SecretMissing", "read_secret", "require_file"]

_HINT = "run `security-common setup DIRECTORY`, which makes every secret, and name the file below it"


class SecretMissing(SecurityError):
    """A secret's file is not named or cannot be read."""

    error: ClassVar[str] = "secret_missing"


def require_file(path: Path | None, variable: str) -> Path:
    """The file that holds a secret. Raises `SecretMissing` naming the variable."""
    if path is None:
        raise SecretMissing(f"{variable} is not set", hint=_HINT)
    return path


def read_secret(path: Path | None, variable: str) -> bytes:
    """The content of a secret's file without surrounding white space. Raises `SecretMissing` naming the variable."""
    named = require_file(path, variable)
    try:
        secret = named.read_bytes().strip()
    except OSError as error:
        raise SecretMissing(f"{variable}: {named} cannot be read ({error.strerror})", hint=_HINT) from error
    if not secret:
        raise SecretMissing(f"{variable}: {named} is empty", hint=_HINT)
    return secret
