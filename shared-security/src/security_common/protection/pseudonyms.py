"""Keyed pseudonyms: the same value of the same tenant gives the same token, and only the key leads back to a guess.

A hash without a key would be no protection: all telephone and resident numbers can be tried in minutes.
"""

import hmac
from base64 import urlsafe_b64decode
from binascii import Error
from dataclasses import dataclass, field
from pathlib import Path

from security_common.protection.errors import BadProtection

__all__ = ["PseudonymKey"]

_FEWEST_KEY_BYTES = 32
_TOKEN_HEX_DIGITS = 24  # 96 bits: no two values of one tenant meet by chance


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """HMAC-SHA256 (RFC 2104). The key's id stands in every token, so that a new key can be told from the old one."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < _FEWEST_KEY_BYTES or len(set(self.secret)) < 8:
            raise BadProtection("the pseudonym key is too weak", hint="use 32 random bytes: security-common setup DIR")

    @classmethod
    def load(cls, path: Path) -> "PseudonymKey":
        """Reads a file with 32 random bytes in base64url, as `SECURITY_PSEUDONYM_KEY_FILE` names it."""
        try:
            text = path.read_text(encoding="ascii").strip()
            return cls(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (OSError, UnicodeDecodeError, Error) as error:
            raise BadProtection("the pseudonym key cannot be read", hint=f"is {path} a base64url file?") from error

    @property
    def key_id(self) -> str:
        """Eight hexadecimal digits that tell nothing of the key."""
        return hmac.digest(self.secret, b"key-id", "sha256").hex()[:8]

    def pseudonym(self, kind: str, value: str, *, tenant: str = "") -> str:
        """`EMAIL_3f2a9c01_…`: stable for a tenant, different between tenants and kinds."""
        message = f"{tenant}\x00{kind}\x00{value}".encode(errors="surrogatepass")
        return f"{kind}_{self.key_id}_{hmac.digest(self.secret, message, 'sha256').hex()[:_TOKEN_HEX_DIGITS]}"
