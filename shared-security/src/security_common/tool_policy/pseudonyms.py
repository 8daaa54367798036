"""Keyed digests of people and values: equal values have equal digests, and only the key allows guesses to be tested.

A digest without a key would not protect anything: all telephone numbers and resident registration numbers can be
tried in minutes.
"""

import hmac
from pathlib import Path

from security_common.errors import SecurityError
from security_common.secret_files import read_secret_file

__all__ = ["KeyedPseudonyms", "PseudonymKeyInvalid", "to_consonants"]

DIGEST_BYTES = 12  # 96 bits: a collision is not expected
KEY_ID_BYTES = 4
MIN_KEY_BYTES, MIN_DIFFERENT_BYTES = 32, 8

HEX_TO_CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


class PseudonymKeyInvalid(SecurityError):
    """The key file cannot be read, or its key is so weak that it could be guessed."""

    error = "pseudonym_key_invalid"
    client_text = "this server has no usable pseudonym key (its operator finds the cause in the log)"


class KeyedPseudonyms:
    """Pseudonyms that only the holder of the key can compute, so that nobody else can test guesses against them.

    The key is the one line of the file. Raises `PseudonymKeyInvalid`.
    """

    def __init__(self, key_file: Path) -> None:
        hint = "the file contains 32 random bytes as one line of base64url; `security-common setup` creates it"
        setting = "SECURITY_PSEUDONYM_KEY_FILE"
        self._key = read_secret_file(key_file, setting=setting, error=PseudonymKeyInvalid, hint=hint).encode()
        if len(self._key) < MIN_KEY_BYTES or len(set(self._key)) < MIN_DIFFERENT_BYTES:
            raise PseudonymKeyInvalid(f"the pseudonym key {key_file} is too weak", hint=hint)
        self.key_id = to_consonants(self.digest("key-id", "")[:KEY_ID_BYTES])

    def reference(self, value: str) -> str:
        """The reference to one person's id in access records (접속기록의 정보주체)."""
        return to_consonants(self.digest("subject", value))

    def pseudonym(self, kind: str, value: str, *, issuer: str = "") -> str:
        """`EMAIL_bcdfghjk_…`: the same for equal values under one issuer, different between issuers, kinds and keys."""
        name = to_consonants(self.digest("pseudonym", f"{issuer}\0{kind}\0{value}"))
        return f"{kind}_{self.key_id}_{name}"

    def digest(self, purpose: str, value: str) -> bytes:
        """A keyed digest. It differs by purpose, so that references cannot be matched with directory ids."""
        message = f"{purpose}\n{value}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, "sha256")[:DIGEST_BYTES]


def to_consonants(data: bytes) -> str:
    """The bytes as consonants, two for each byte. Digits could look like a telephone or account number."""
    return data.hex().translate(HEX_TO_CONSONANTS)
