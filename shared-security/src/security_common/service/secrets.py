"""Secrets come from files that settings name."""

from pathlib import Path

from security_common.secret_files import SecretMissing, read_secret_file

__all__ = ["read_secret", "require_file"]

_HINT = "run `security-common setup DIRECTORY`, which makes every secret, and name the file below it"


def require_file(path: Path | None, variable: str) -> Path:
    """The file that holds a secret. Raises `SecretMissing` naming the variable."""
    if path is None:
        raise SecretMissing(f"{variable} is not set", hint=_HINT)
    return path


def read_secret(path: Path | None, variable: str) -> bytes:
    """The secret in the file, as UTF-8. Raises `SecretMissing` naming the variable."""
    return read_secret_file(require_file(path, variable), setting=variable).encode()
