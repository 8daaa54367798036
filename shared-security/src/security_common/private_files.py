"""Writes files that only their owner can read, such as keys. They are complete on disk before they have their name."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

__all__ = ["write_new", "write_once"]


def write_new(path: Path, text: str) -> None:
    """Writes a new file. Raises FileExistsError if it exists, or another OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_once(path: Path, content: Callable[[], str]) -> bool:
    """Writes the file unless it exists; returns whether it did. Safe when two processes do it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_new(draft, content() + "\n")
    try:
        os.link(draft, path)  # fails if the file exists; a rename would replace it
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
