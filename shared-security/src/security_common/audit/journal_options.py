"""The options of one journal, as they follow from the settings."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from joserfc.jwk import RSAKey

from security_common.audit.chain_key import read_or_create_chain_key
from security_common.audit.checkpoints import load_checkpoint_key
from security_common.settings import SecuritySettings

__all__ = ["JournalOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """`directory` is the directory of the service, which contains its slots.

    Segments are kept for `keep` and stream entries for `keep_in_stream`; `stream_max_bytes` limits the size of the
    stream, whatever the age of its entries. Without a `checkpoint_key` no checkpoints are written. Without a
    `checkpoint_directory` they are written beside the journal.
    """

    service: str
    directory: Path
    chain_key: bytes
    segment_bytes: int
    keep: timedelta
    keep_in_stream: timedelta
    stream_max_bytes: int
    checkpoint_key: RSAKey | None = None
    checkpoint_directory: Path | None = None
    checkpoint_seconds: float = 300.0

    @classmethod
    def from_settings(cls, settings: SecuritySettings, *, service: str) -> Self:
        """Reads the key files. Raises ChainKeyInvalid and CheckpointKeyInvalid."""
        keep_days = settings.audit_retention_days
        signing_key_file = settings.audit_checkpoint_key_file
        return cls(
            service=service,
            directory=settings.audit_dir / service,
            chain_key=read_or_create_chain_key(settings, service=service),
            segment_bytes=settings.audit_segment_bytes,
            keep=timedelta(days=keep_days),
            keep_in_stream=timedelta(days=settings.audit_stream_days or keep_days),
            stream_max_bytes=settings.audit_stream_max_bytes,
            checkpoint_key=load_checkpoint_key(signing_key_file, signs=True) if signing_key_file else None,
            checkpoint_directory=settings.audit_checkpoint_dir,
            checkpoint_seconds=settings.audit_checkpoint_minutes * 60,
        )
