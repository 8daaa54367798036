"""Settings of the library, prefix SECURITY_. Every secret comes from a file; none has a default."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from security_common.errors import SecurityError
from security_common.secret_files import SecretFile, SecretKeyFile

__all__ = ["SecuritySettings", "SettingInvalid", "SettingProblem", "Settings", "Threshold"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """So much within so many seconds; in settings `20/60`."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: "str | Threshold") -> "Threshold":
        """Reads `count/seconds`, both positive. Raises ValueError."""
        if isinstance(text, Threshold):
            return text
        match = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text)
        if match is None:
            raise ValueError("a threshold is count/seconds, for example 20/60")
        return cls(int(match[1]), int(match[2]))


_Threshold = Annotated[Threshold, BeforeValidator(Threshold.parse), NoDecode]


class SettingInvalid(SecurityError):
    """A variable holds what its setting does not take."""

    error: ClassVar[str] = "setting_invalid"


class SettingProblem(ValueError):
    """Raised by a validator that knows a better hint than the list of all settings."""

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class Settings(BaseSettings):
    """Settings from the environment. A wrong one raises `SettingInvalid`, which names the variable and no value.

    An empty variable counts as not set: the default applies.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    def __init__(self, **given: Any) -> None:
        prefix, hint = self.model_config.get("env_prefix", ""), "docs/configuration.md describes every setting"
        try:
            super().__init__(**given)
        except ValidationError as failure:
            first = failure.errors(include_input=False, include_url=False)[0]
            variable, problem = "_".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            told = f"{(prefix + variable).upper()}: {problem}" if variable else problem
            cause = first.get("ctx", {}).get("error")
            raise SettingInvalid(told, hint=cause.hint if isinstance(cause, SettingProblem) else hint) from None
        except SettingsError as failure:
            raise SettingInvalid(str(failure), hint=hint) from None


class SecuritySettings(Settings):
    """Read from the environment where the library is used without a service around it."""

    model_config = SettingsConfigDict(env_prefix="SECURITY_", frozen=True)

    audit_dir: Path = Field(
        default=Path("logs/audit"),
        description="Folder of the audit journals; each service and process has its own slot below it.",
    )
    audit_chain_key_file: SecretKeyFile = Field(
        default=None, description="File with the key of the journal's HMAC chain: 32 random bytes, base64url."
    )
    audit_checkpoint_key_file: SecretFile = Field(
        default=None, description="PEM file with the RSA private key that signs the journal's checkpoints."
    )
    audit_segment_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=4096,
        description="Size in bytes at which a journal file is closed and a new one begun.",
    )
    audit_retention_days: int = Field(
        default=730,
        ge=1,
        description="Days that journal files stay. Korean law asks for one year of access records, and for two years "
        "where the data of many people or sensitive data is handled.",
    )
    audit_stream_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that entries stay in the Redis stream, when that is to be less than the retention period.",
    )
    audit_stream_max_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1024 * 1024,
        description="Memory in bytes that the Redis stream of audit events may take; the oldest entries are trimmed "
        "and stay in the journal files. The default holds about 150,000 events and needs a Redis with at least "
        "256 MB `maxmemory`.",
    )
    audit_checkpoint_dir: Path | None = Field(
        default=None,
        description="Folder for the signed checkpoints, on another volume than the journals; beside them when unset.",
    )
    audit_checkpoint_minutes: float = Field(
        default=5.0, gt=0, description="Minutes between signed checkpoints of the journal, idle or not."
    )
    time_zone: ZoneInfo = Field(
        default=ZoneInfo("UTC"),
        description="IANA name of the zone in which people read the trail: the audit page and the monthly report.",
    )
    detect_refusal_burst: _Threshold = Field(
        default=Threshold(30, 60), description="Alert at this many refusals from one address; count/seconds."
    )
    detect_secret_guessing: _Threshold = Field(
        default=Threshold(10, 300),
        description="Alert at this many wrong secrets or passwords for one name; count/seconds.",
    )
    detect_refresh_reuse: _Threshold = Field(
        default=Threshold(1, 60), description="Alert at this many used refresh tokens that come back; count/seconds."
    )
    detect_pii_volume: _Threshold = Field(
        default=Threshold(1000, 3600),
        description="Alert at this many pieces of personal data handled by one person; count/seconds.",
    )
    detect_pii_volume_client: _Threshold = Field(
        default=Threshold(10_000, 3600),
        description="Alert at this many pieces of personal data handled by one client; count/seconds.",
    )
    detect_many_subjects: _Threshold = Field(
        default=Threshold(50, 3600),
        description="Alert at this many different people whose data one person handled; count/seconds.",
    )
    detect_tool_enumeration: _Threshold = Field(
        default=Threshold(6, 60), description="Alert at this many different tools refused to one caller; count/seconds."
    )
    detect_journal_gap: _Threshold = Field(
        default=Threshold(1, 60),
        description="Alert at this many missing events in a journal's numbering; count/seconds.",
    )
    detect_journal_quiet_seconds: int = Field(
        default=300,
        ge=10,
        description="Alert when a journal that was not closed has not reported for so many seconds: its process may be "
        "gone together with its disk and with events that were not shipped.",
    )
    encryption_key_file: SecretFile = Field(
        default=None,
        description="Keyring file for field encryption (`security-common keys generate`). One Fernet key works too.",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        description="The keyring itself, for platforms that hand secrets over in the environment. The file wins.",
    )
    pii_config_file: Path | None = Field(
        default=None,
        description="TOML file that says what becomes of personal data by kind and tool, with allowed values and own "
        "patterns (docs/pii.md). Without one, everything found is masked where a tool masks.",
    )
    pseudonym_key_file: SecretKeyFile = Field(
        default=None,
        description="File with the key of keyed pseudonyms and subject references: 32 random bytes, base64url.",
    )
