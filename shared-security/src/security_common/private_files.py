"""Files for their owner alone, such as keys: on disk before anybody can find them by their name."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

__all__ = ["write_new", "write_once"]


def write_new(path: Path, text: str) -> None:
    """Writes a file that is not there yet. Raises FileExistsError, OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_once(path: Path, content: Callable[[], str]) -> bool:
    """Writes the file unless it is there, and tells which. Whole or not at all, also when two run at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_new(draft, content() + "\n")
    try:
        os.link(draft, path)  # fails where a rename would overwrite
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
