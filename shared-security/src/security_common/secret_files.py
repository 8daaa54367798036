"""Reading secrets from files: keys, keyrings, PEM and JWK files, passwords, client secrets. Everything reads them here.

A secret file is UTF-8 text. A byte order mark and the white space around the text are not part of the secret, and CR LF
counts as LF, so that a file made by an editor, `echo`, PowerShell or a platform's secret store gives the same secret.
Every secret is therefore text (base64url, PEM, JSON or a password); raw random bytes are refused, since cutting white
space could cut a part of them.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel

from security_common.errors import SecurityError

__all__ = [
    "ExposedSecret",
    "SecretFile",
    "SecretMissing",
    "find_exposed_secrets",
    "read_secret",
    "read_secret_file",
    "require_secret_file",
    "who_can_read",
]

LARGEST_BYTES = 256 * 1024
_WHITE_SPACE = " \t\r\n\v\f"
_HINT = "run `security-common setup DIRECTORY`, which makes every secret, and name the file below it"


class SecretMissing(SecurityError):
    """A secret's file is not named, or does not hold a secret that can be used."""

    error: ClassVar[str] = "secret_missing"


class _IsSecret:
    """Marks a setting that names a secret file, so that its mode is checked."""


SecretFile = Annotated[Path | None, _IsSecret()]
"""The type of a setting that names a secret file."""


@dataclass(frozen=True, slots=True)
class ExposedSecret:
    """A secret file that more than its owner can read; `who` is "its group" or "everybody"."""

    setting: str
    path: Path
    who: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.path} can be read by {self.who}"


def read_secret_file(
    path: Path, *, setting: str = "", error: type[SecurityError] = SecretMissing, hint: str = _HINT
) -> str:
    """The secret in the file, without a byte order mark, surrounding white space and carriage returns.

    `setting` is the variable or option that names the file, for the error. Raises `error` when the file is missing,
    unreadable, a folder, larger than 256 KiB, not UTF-8 text, or empty.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except OSError as failure:
        reason = failure.strerror or type(failure).__name__
        raise error(_sentence(setting, path, f"cannot be read: {reason}"), hint=hint) from failure
    if len(raw) > LARGEST_BYTES:
        raise error(_sentence(setting, path, f"is larger than {LARGEST_BYTES // 1024} KiB"), hint=hint)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # No `from`: the cause would quote the secret.
        raise error(_sentence(setting, path, "is not UTF-8 text"), hint=f"secrets are text, not raw bytes; {hint}")
    secret = text.replace("\r\n", "\n").strip(_WHITE_SPACE)
    if not secret:
        raise error(_sentence(setting, path, "is empty"), hint=hint)
    return secret


def require_secret_file(path: Path | None, setting: str) -> Path:
    """The path that `setting` names. Raises `SecretMissing` when the setting is not set."""
    if path is None:
        raise SecretMissing(f"{setting} is not set", hint=_HINT)
    return path


def read_secret(path: Path | None, setting: str) -> bytes:
    """The secret in the file that `setting` names, as UTF-8. Raises `SecretMissing`."""
    return read_secret_file(require_secret_file(path, setting), setting=setting).encode()


def who_can_read(path: Path) -> str:
    """Who can read the file besides its owner: everybody, its group, or nobody (an empty text)."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if mode & stat.S_IROTH:
        return "everybody"
    return "its group" if mode & stat.S_IRGRP else ""


def find_exposed_secrets(settings: BaseModel) -> Iterator[ExposedSecret]:
    """The files named by `SecretFile` settings, nested settings included, that more than their owner can read.

    No reason to refuse them: Kubernetes and compose mount secrets with such modes in containers of one user.
    """
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from find_exposed_secrets(value)
        elif value is not None and any(isinstance(mark, _IsSecret) for mark in field.metadata):
            who = who_can_read(value)
            if who:
                yield ExposedSecret(f"{prefix}{name}".upper(), value, who)


def _sentence(setting: str, path: Path, problem: str) -> str:
    return f"{setting}: {path} {problem}" if setting else f"{path} {problem}"
