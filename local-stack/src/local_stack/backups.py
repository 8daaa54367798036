"""Backup and restore of the stack of `make run`."""

from collections.abc import Iterator
from pathlib import Path

from local_stack.errors import StackError
from local_stack.stack import REDIS, Stack
from security_common.backup import has_files
from security_common.cli.backup import create_archive, restore_archive

__all__ = ["back_up", "restore_state"]


def back_up(stack: Stack, file: Path) -> Iterator[str]:
    """Writes an archive of the state, and returns what the operator should know. Raises `SecurityError`, `OSError`."""
    if not stack.secrets.exists():
        raise StackError(f"there is no state in {stack.state}", hint="start the stack once: make run")
    backup = create_archive(file, _folders(stack))
    yield f"{file}: {len(backup.digests)} files. It contains every secret: encrypt it."
    if REDIS not in stack.servers:
        yield "NOTICE: Redis is not the one of make run, and is not in the archive: back it up where it runs"
    for variable, path in _files_elsewhere(stack):
        yield f"NOTICE: {variable} ({path}) is not in the archive: keep a copy of it"


def restore_state(stack: Stack, file: Path) -> str:
    """Verifies an archive and restores the state from it; returns what was done. Raises `SecurityError`, `OSError`."""
    present = [str(folder) for folder in _folders(stack).values() if has_files(folder)]
    if present:
        raise StackError(
            f"there is state already: {', '.join(present)}", hint="move it away, or delete it with make reset"
        )
    return f"restored the backup of {restore_archive(file, _folders(stack)).created}"


def _folders(stack: Stack) -> dict[str, Path]:
    folders = {"audit": stack.audit_dir, "secrets": stack.secrets}
    return {"redis": stack.state / REDIS, **folders} if REDIS in stack.servers else folders


def _files_elsewhere(stack: Stack) -> Iterator[tuple[str, str]]:
    """The given settings that name a file or folder outside of the state."""
    for variable, value in sorted(stack.overrides.items()):
        path = Path(value).absolute()
        if variable != "SECURITY_AUDIT_DIR" and path.exists() and not path.is_relative_to(stack.state):
            yield variable, value
