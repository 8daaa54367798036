"""Keyed names of people and values: the same one gives the same name, and only the key leads back to a guess.

A hash without a key would be no protection: all telephone and resident numbers can be tried in minutes.
"""

import hmac
from pathlib import Path

from security_common.errors import SecurityError
from security_common.secret_files import read_secret_file

__all__ = ["KeyedPseudonyms", "PseudonymKeyInvalid", "to_consonants"]

REFERENCE_BYTES = 12  # 96 bits: no two values meet by chance
KEY_ID_BYTES = 4
FEWEST_KEY_BYTES, FEWEST_DIFFERENT_BYTES = 32, 8

HEX_TO_CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


class PseudonymKeyInvalid(SecurityError):
    """The key file cannot be read, or is too weak to keep anyone from trying keys."""

    error = "pseudonym_key_invalid"


class KeyedPseudonyms:
    """Names that only the holder of the key can compute, so that nobody can try out ids or numbers against them.

    The key is the file's one line as it stands. Raises `PseudonymKeyInvalid`.
    """

    def __init__(self, key_file: Path) -> None:
        hint = "it holds 32 random bytes as one line of base64url; `security-common setup` makes one"
        setting = "SECURITY_PSEUDONYM_KEY_FILE"
        self._key = read_secret_file(key_file, setting=setting, error=PseudonymKeyInvalid, hint=hint).encode()
        if len(self._key) < FEWEST_KEY_BYTES or len(set(self._key)) < FEWEST_DIFFERENT_BYTES:
            raise PseudonymKeyInvalid(f"the pseudonym key {key_file} is too weak", hint=hint)
        self.key_id = to_consonants(self.digest("key-id", "")[:KEY_ID_BYTES])

    def reference(self, value: str) -> str:
        """The reference for one person's id, for the record (접속기록의 정보주체)."""
        return to_consonants(self.digest("subject", value))

    def pseudonym(self, kind: str, value: str, *, tenant: str = "") -> str:
        """`EMAIL_bcdfghjk_…`: stable for a tenant, different between tenants, kinds and keys."""
        name = to_consonants(self.digest("pseudonym", f"{tenant}\0{kind}\0{value}"))
        return f"{kind}_{self.key_id}_{name}"

    def digest(self, purpose: str, value: str) -> bytes:
        """A keyed digest that differs by purpose: references and directory ids must not lead to each other."""
        message = f"{purpose}\n{value}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, "sha256")[:REFERENCE_BYTES]


def to_consonants(data: bytes) -> str:
    """`data` in consonants, two a byte: a run of digits could look like a number that belongs to someone."""
    return data.hex().translate(HEX_TO_CONSONANTS)
