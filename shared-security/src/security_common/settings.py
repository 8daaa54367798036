"""Settings of the library, prefix SECURITY_. Every secret comes from a file; none has a default."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["SecuritySettings"]


class SecuritySettings(BaseSettings):
    """Read from the environment where the library is used without a service around it."""

    model_config = SettingsConfigDict(env_prefix="SECURITY_", frozen=True)

    audit_dir: Path = Field(
        default=Path("logs/audit"),
        description="Folder of the audit journals; each service and process has its own slot below it.",
    )
    audit_chain_key_file: Path | None = Field(
        default=None,
        description="File with the key of the journal's HMAC chain: 32 random bytes, base64url.",
    )
    audit_checkpoint_key_file: Path | None = Field(
        default=None,
        description="PEM file with the RSA private key that signs the journal's checkpoints.",
    )
    audit_segment_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=4096,
        description="Size in bytes at which a journal file is closed and a new one begun.",
    )
    encryption_key_file: Path | None = Field(
        default=None,
        description="Keyring file for field encryption (`security-common keys generate`). One Fernet key works too.",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        description="The keyring itself, for platforms that hand secrets over in the environment. The file wins.",
    )
    pseudonym_key_file: Path | None = Field(
        default=None,
        description="File with the key of keyed pseudonyms and subject references: 32 random bytes, base64url.",
    )
