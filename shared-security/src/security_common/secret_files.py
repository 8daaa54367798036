"""Reads secrets from files: keys, keyrings, PEM and JWK files, passwords, client secrets.

A secret file is UTF-8 text. A byte order mark and the white space around the text are not part of the secret, and CR LF
is read as LF, so that a file made by an editor, `echo`, PowerShell or a platform's secret store gives the same secret.
Every secret is therefore text (base64url, PEM, JSON or a password). Raw random bytes are refused: some of them could be
white space and would be removed.
"""

import hmac
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel

from security_common.errors import SecurityError
from security_common.setting_names import variable_name

__all__ = [
    "MIN_KEY_CHARACTERS",
    "ExposedSecret",
    "SecretFile",
    "SecretKeyFile",
    "SecretMissing",
    "find_exposed_secrets",
    "find_short_keys",
    "key_fingerprint",
    "read_secret",
    "read_secret_file",
    "require_secret_file",
    "who_can_read",
]

MAX_SECRET_BYTES = 256 * 1024
# 32 random bytes as base64url have 43 characters, as hexadecimal digits 64; 128 random bits have at least 22.
MIN_KEY_CHARACTERS = 32
_WHITE_SPACE = " \t\r\n\v\f"
_HINT = "run `security-common setup DIRECTORY`, which makes every secret, and name the file below it"


class SecretMissing(SecurityError):
    """A setting does not name a secret file, or the file does not contain a usable secret."""

    error: ClassVar[str] = "secret_missing"


@dataclass(frozen=True, slots=True)
class _Secret:
    """Marks a setting that names a secret file, so that the file is checked. `is_key`: it contains a random key."""

    is_key: bool


SecretFile = Annotated[Path | None, _Secret(is_key=False)]
"""The type of a setting that names a secret file."""

SecretKeyFile = Annotated[Path | None, _Secret(is_key=True)]
"""The type of a setting that names a file with a random key as text, of at least 32 characters."""


@dataclass(frozen=True, slots=True)
class ExposedSecret:
    """A secret file that others than its owner can read; `who` is "its group" or "everybody"."""

    setting: str
    path: Path
    who: str

    hint: ClassVar[str] = "`chmod 600`, unless only the container of this service has the file"

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
            raw = file.read(MAX_SECRET_BYTES + 1)
    except OSError as failure:
        reason = failure.strerror or type(failure).__name__
        raise error(_sentence(setting, path, f"cannot be read: {reason}"), hint=hint) from failure
    if len(raw) > MAX_SECRET_BYTES:
        raise error(_sentence(setting, path, f"is larger than {MAX_SECRET_BYTES // 1024} KiB"), hint=hint)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if text is None or "\0" in text:
        # Raised outside of the `except` block, so that the decoding error, which quotes the secret, is not its context.
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
    """Who can read the file besides its owner: "everybody", "its group", or an empty string."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if mode & stat.S_IROTH:
        return "everybody"
    return "its group" if mode & stat.S_IRGRP else ""


def find_exposed_secrets(settings: BaseModel) -> Iterator[ExposedSecret]:
    """The secret files of these settings, including nested settings, that others than their owner can read.

    They do not prevent a start: Kubernetes and compose mount secrets with such modes in containers of one user.
    """
    for setting, path, _ in _secret_files(settings):
        who = who_can_read(path)
        if who:
            yield ExposedSecret(setting, path, who)


def find_short_keys(settings: BaseModel) -> Iterator[tuple[str, Path]]:
    """The settings and files of keys that are shorter than 32 characters and could therefore be guessed.

    Files that cannot be read are left out.
    """
    for setting, path, is_key in _secret_files(settings):
        if is_key:
            try:
                secret = read_secret_file(path)
            except SecurityError:
                continue
            if len(secret) < MIN_KEY_CHARACTERS:
                yield setting, path


def key_fingerprint(key: bytes, label: bytes) -> str:
    """16 hexadecimal digits that recognize a key: the beginning of an HMAC-SHA256 of `label` with it.

    They reveal nothing about a random key. Do not use it for a password, which could be guessed.
    """
    return hmac.digest(key, label, "sha256").hex()[:16]


def _secret_files(settings: BaseModel) -> Iterator[tuple[str, Path, bool]]:
    """Setting, path, and whether it is a key, for each secret file that is set."""
    for name, field in type(settings).model_fields.items():
        value: Any = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _secret_files(value)
            continue
        for mark in field.metadata:
            if value is not None and isinstance(mark, _Secret):
                yield variable_name(settings, name), value, mark.is_key


def _sentence(setting: str, path: Path, problem: str) -> str:
    return f"{setting}: {path} {problem}" if setting else f"{path} {problem}"
