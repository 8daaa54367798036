"""Keyed references to people, for the record (접속기록의 정보주체): the same person, the same reference."""

import hmac
from pathlib import Path

from mcp_resource_service.opaque import letters

__all__ = ["KeyedPseudonyms"]

REFERENCE_BYTES = 12


class KeyedPseudonyms:
    """References that only the holder of the key can compute, so that nobody can try out ids against the trail."""

    def __init__(self, key_file: Path) -> None:
        self._key = key_file.read_bytes().strip()

    def reference(self, value: str) -> str:
        """The reference for one person's id."""
        return letters(self.digest("subject", value))

    def digest(self, purpose: str, value: str) -> bytes:
        """A keyed digest that differs by purpose: references and directory ids must not lead to each other."""
        return hmac.digest(self._key, f"{purpose}\n{value}".encode(), "sha256")[:REFERENCE_BYTES]
