"""Backup and restore: Redis, the audit journals and the secrets in one archive, also while the services run.

The parts are copied in this order, because each may refer to what the ones before it contain:

    redis     the append-only file, as far as it was written when the backup began
    audit     of each slot first the checkpoints and then the journal: complete lines only
    secrets   every file

So a restored journal never ends before what the restored Redis has of it, and is continued. `backup.json` at the end of
the archive has the digest of every file: an archive without it is incomplete.
"""

from security_common.backup.archive import Backup, BackupInvalid, has_files, read_backup, restore_backup, write_backup

__all__ = ["Backup", "BackupInvalid", "has_files", "read_backup", "restore_backup", "write_backup"]
