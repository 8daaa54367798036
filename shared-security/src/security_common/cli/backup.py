"""`security-common backup`: Redis, the audit journals and the secrets in one archive, and back."""

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import App, Parameter

from security_common.backup import Backup, BackupInvalid, read_backup, restore_backup, write_backup
from security_common.private_files import sync_descriptor

__all__ = ["app", "create_archive", "restore_archive"]

app = App(
    version_flags=[],
    name="backup",
    help="""Redis, the audit journals and the secrets in one archive.

The archive contains every secret: encrypt it, and keep it where only operators can read it.

`make backup` and `make restore` do this for the stack of `make run`; docs/operations.md describes the rest.
""",
)

RedisFolder = Annotated[Path | None, Parameter(name="--redis", help="the `dir` of Redis, with its append-only file")]
AuditFolder = Annotated[Path | None, Parameter(name="--audit", help="SECURITY_AUDIT_DIR")]
SecretsFolder = Annotated[Path | None, Parameter(name="--secrets", help="the folder that `setup` has filled")]
ArchiveOrDash = Annotated[Path, Parameter(allow_leading_hyphen=True)]
AfterStandardInput = Annotated[
    bool,
    Parameter(
        negative="", help="read another archive from standard input and write its parts first: folders of another user"
    ),
]


@app.command
def create(
    archive: ArchiveOrDash,
    /,
    *,
    redis: RedisFolder = None,
    audit: AuditFolder = None,
    secrets: SecretsFolder = None,
    after_stdin: AfterStandardInput = False,
) -> None:
    """Write the given folders to ARCHIVE, also while the services run; `-` writes to standard output.

    Example: security-common backup create backup.tar.gz --redis /data --audit /var/lib/audit --secrets /secrets
    """
    folders = _given(redis=redis, audit=audit, secrets=secrets)
    earlier = sys.stdin.buffer if after_stdin else None
    if str(archive) == "-":
        write_backup(sys.stdout.buffer, folders, earlier=earlier)
        return
    backup = create_archive(archive, folders, earlier=earlier)
    print(f"{archive}: {len(backup.digests)} files of {', '.join(sorted(backup.parts))}")


@app.command
def restore(
    archive: ArchiveOrDash, /, *, redis: RedisFolder = None, audit: AuditFolder = None, secrets: SecretsFolder = None
) -> None:
    """Write the parts of ARCHIVE to the given folders, which must be empty, while the services do not run.

    `-` reads standard input. An archive that is damaged or incomplete leaves no file behind.

    Example: security-common backup restore backup.tar.gz --audit /var/lib/audit --secrets /secrets
    """
    folders = _given(redis=redis, audit=audit, secrets=secrets)
    backup = restore_backup(sys.stdin.buffer, folders) if str(archive) == "-" else restore_archive(archive, folders)
    print(f"restored the backup of {backup.created}")


@app.command
def verify(archive: Path, /) -> None:
    """Compare every file of ARCHIVE with its digest. Exit status 2 if it is damaged or incomplete.

    Example: security-common backup verify backup.tar.gz
    """
    with archive.open("rb") as source:
        backup = read_backup(source)
    print(f"{archive}: complete, {len(backup.digests)} files of {', '.join(sorted(backup.parts))}, of {backup.created}")


def create_archive(path: Path, folders: Mapping[str, Path], *, earlier: BinaryIO | None = None) -> Backup:
    """Writes an archive that only its owner can read. Raises `SecurityError`, and OSError if the file exists."""
    with _new_file(path) as target:
        return write_backup(target, folders, earlier=earlier)


def restore_archive(path: Path, folders: Mapping[str, Path]) -> Backup:
    """Writes the parts of an archive to empty folders. Raises `BackupInvalid` and OSError."""
    with path.open("rb") as source:
        return restore_backup(source, folders)


def _given(**folders: Path | None) -> dict[str, Path]:
    given = {part: folder for part, folder in folders.items() if folder is not None}
    if not given:
        raise BackupInvalid("no folder is given", hint="name at least one of --redis, --audit and --secrets")
    return given


@contextmanager
def _new_file(path: Path) -> Generator[BinaryIO]:
    """A new file, which has its name when the block has ended without an error."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            sync_descriptor(file.fileno())
        os.link(draft, path)  # fails if the file exists; a rename would replace it
    finally:
        draft.unlink(missing_ok=True)
