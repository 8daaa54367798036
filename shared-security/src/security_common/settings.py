"""Settings of the library, with the prefix SECURITY_. Secrets come from files and have no defaults."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from security_common.errors import SecurityError
from security_common.secret_files import SecretFile, SecretKeyFile
from security_common.setting_names import variable_name

__all__ = ["SecuritySettings", "SettingInvalid", "SettingProblem", "Settings", "Threshold"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number of events within a number of seconds; in settings `20/60`."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: "str | Threshold") -> "Threshold":
        """Parses `count/seconds`, two positive numbers. Raises ValueError."""
        if isinstance(text, Threshold):
            return text
        match = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text)
        if match is None:
            raise ValueError("must be count/seconds, for example 20/60")
        return cls(int(match[1]), int(match[2]))


_Threshold = Annotated[Threshold, BeforeValidator(Threshold.parse), NoDecode]


class SettingInvalid(SecurityError):
    """A variable has a value that its setting does not allow."""

    error: ClassVar[str] = "setting_invalid"


class SettingProblem(ValueError):
    """Raised by a validator that has a better hint than the list of all settings."""

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class Settings(BaseSettings):
    """Settings from the environment. An invalid one raises `SettingInvalid`, which names the variable, not its value.

    An empty variable is treated as unset: the default applies.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    def __init__(self, **given: Any) -> None:
        hint = "docs/configuration.md describes every setting"
        try:
            super().__init__(**given)
        except ValidationError as failure:
            first = failure.errors(include_input=False, include_url=False)[0]
            problem = first["msg"].removeprefix("Value error, ")
            field = "_".join(map(str, first["loc"]))
            description = f"{variable_name(self, field)}: {problem}" if field else problem
            cause = first.get("ctx", {}).get("error")
            raise SettingInvalid(description, hint=cause.hint if isinstance(cause, SettingProblem) else hint) from None
        except SettingsError as failure:
            raise SettingInvalid(str(failure), hint=hint) from None


class SecuritySettings(Settings):
    """Read from the environment; also when the library is used without one of the services."""

    model_config = SettingsConfigDict(env_prefix="SECURITY_", frozen=True)

    audit_dir: Path = Field(
        default=Path("logs/audit"),
        description="Folder of the audit journals; each service and process has its own subfolder.",
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
        description="Size in bytes at which a journal file is closed and a new one is started.",
    )
    audit_retention_days: int = Field(
        default=730,
        ge=1,
        description="Days that journal files are kept. Korean law requires one year for access records, and two years "
        "if the data of many people or sensitive data is processed.",
    )
    audit_stream_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that entries are kept in the Redis stream, if shorter than the retention period.",
    )
    audit_stream_max_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1024 * 1024,
        description="Memory in bytes that the Redis stream of audit events may take; the oldest entries are trimmed "
        "and remain in the journal files. The default is enough for about 150,000 events and needs a Redis with "
        "at least 256 MB `maxmemory`.",
    )
    audit_checkpoint_dir: Path | None = Field(
        default=None,
        description="Folder of the signed checkpoints, on another volume than the journals; unset, next to them.",
    )
    audit_checkpoint_minutes: float = Field(
        default=5.0, gt=0, description="Minutes between signed checkpoints of the journal, even without new events."
    )
    audit_index_dir: Path | None = Field(
        default=None,
        description="Folder of the search index of the audit trail, which is built again when it is lost; unset, next "
        "to the journals.",
    )
    time_zone: ZoneInfo = Field(
        default=ZoneInfo("UTC"), description="IANA name of the time zone of the audit page and the monthly report."
    )
    detect_refusal_burst: _Threshold = Field(
        default=Threshold(30, 60), description="Alert at this many refusals from one address; count/seconds."
    )
    detect_secret_guessing: _Threshold = Field(
        default=Threshold(10, 300),
        description="Alert at this many wrong secrets of one client, or wrong passwords from one address; "
        "count/seconds.",
    )
    detect_refresh_reuse: _Threshold = Field(
        default=Threshold(1, 60), description="Alert at this many refresh tokens that are used again; count/seconds."
    )
    detect_pii_volume: _Threshold = Field(
        default=Threshold(1000, 3600),
        description="Alert at this many items of personal data processed by one user; count/seconds.",
    )
    detect_pii_volume_client: _Threshold = Field(
        default=Threshold(10_000, 3600),
        description="Alert at this many items of personal data processed by one client; count/seconds.",
    )
    detect_many_subjects: _Threshold = Field(
        default=Threshold(50, 3600),
        description="Alert at this many different people whose data one user processed; count/seconds.",
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
        description="Alert when a journal that was not closed has sent no heartbeat for this many seconds: its "
        "process may be lost together with its disk, and with events that are not in Redis yet.",
    )
    encryption_key_file: SecretFile = Field(
        default=None,
        description="Keyring file for field encryption (`security-common keys generate`). One Fernet key works too.",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        description="The keyring itself, for platforms that pass secrets in the environment. Its file has precedence.",
    )
    pii_config_file: Path | None = Field(
        default=None,
        description="TOML file that configures the treatment of personal data by kind and tool, allowed values and "
        "custom patterns (docs/pii.md). If unset: all findings are masked if the policy of the tool is to mask.",
    )
    pii_search_max_characters: int = Field(
        default=32_000_000,
        ge=2_000_000,
        description="Characters of all callers that may be searched for personal data or wait for it in one process, "
        "where a call has more than about 2,000. Calls above it are answered with 503.",
    )
    pii_search_max_characters_per_caller: int = Field(
        default=8_000_000, ge=2_000_000, description="The same limit for one caller (issuer and subject of the token)."
    )
    pseudonym_key_file: SecretKeyFile = Field(
        default=None,
        description="File with the key of keyed pseudonyms and subject references: 32 random bytes, base64url.",
    )
