"""Keyed references to people, for the record (접속기록의 정보주체): the same person, the same reference."""

import hmac
from pathlib import Path

from security_common.tool_policy.errors import ToolPolicyError

__all__ = ["KeyedPseudonyms", "PseudonymKeyInvalid", "letters"]

REFERENCE_BYTES = 12
FEWEST_KEY_BYTES = 32

HEX_TO_CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


class PseudonymKeyInvalid(ToolPolicyError):
    """The key file cannot be read, or is too short to keep anyone from trying keys."""

    error = "pseudonym_key_invalid"


class KeyedPseudonyms:
    """References that only the holder of the key can compute, so that nobody can try out ids against the trail."""

    def __init__(self, key_file: Path) -> None:
        hint = "it holds 32 random bytes as one line of base64url; `security-common setup` makes one"
        try:
            self._key = key_file.read_bytes().strip()
        except OSError as error:
            raise PseudonymKeyInvalid(f"the pseudonym key {key_file} cannot be read", hint=hint) from error
        if len(self._key) < FEWEST_KEY_BYTES:
            raise PseudonymKeyInvalid(f"the pseudonym key {key_file} is too short", hint=hint)

    def reference(self, value: str) -> str:
        """The reference for one person's id."""
        return letters(self.digest("subject", value))

    def digest(self, purpose: str, value: str) -> bytes:
        """A keyed digest that differs by purpose: references and directory ids must not lead to each other."""
        return hmac.digest(self._key, f"{purpose}\n{value}".encode(), "sha256")[:REFERENCE_BYTES]


def letters(data: bytes) -> str:
    """`data` in consonants, two a byte: a run of digits could look like a number that belongs to someone."""
    return data.hex().translate(HEX_TO_CONSONANTS)
