"""The ciphertext as text: `enc:v1:<algorithm>:<key id>:<Fernet token>.<proof>`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from security_common.encryption.errors import CiphertextMalformed

__all__ = ["BOUND", "UNBOUND", "Envelope", "ciphertext_spans"]

UNBOUND = "fernet"
"""The algorithm of a ciphertext that is encrypted with the data key itself."""
BOUND = "fernet-hkdf"
"""The algorithm of a ciphertext that is encrypted with a key derived for one context."""

# A Fernet token begins with the version byte 0x80 and the leading zero bytes of a 64-bit timestamp: `gAAAAA`.
_FERNET = r"gAAAAA[A-Za-z0-9_-]{92,}={0,2}"
_ENVELOPE = re.compile(rf"enc:v1:(fernet|fernet-hkdf):([0-9a-f]{{8}}):({_FERNET})(?:\.([A-Za-z0-9_-]{{16}}))?")
_CIPHERTEXT = re.compile(rf"{_ENVELOPE.pattern}|{_FERNET}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The parts of a ciphertext. A bare Fernet token has no key id. Bound ciphertexts are written with a proof."""

    algorithm: str
    key_id: str | None
    token: str
    proof: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an envelope or a bare Fernet token. Raises CiphertextMalformed."""
        match = _ENVELOPE.fullmatch(text)
        if match is not None:
            return cls(*match.groups())
        if not text.startswith("enc:") and _CIPHERTEXT.fullmatch(text):
            return cls(UNBOUND, None, text)
        raise CiphertextMalformed("the text is not a ciphertext of this library")

    def __str__(self) -> str:
        if self.key_id is None:
            return self.token
        proof = f".{self.proof}" if self.proof else ""
        return f"enc:v1:{self.algorithm}:{self.key_id}:{self.token}{proof}"


def ciphertext_spans(text: str) -> Iterator[tuple[int, int]]:
    """The places in a text that have the form of ciphertext. `EncryptionService.recognizes` verifies them."""
    if "gAAAAA" in text:
        for match in _CIPHERTEXT.finditer(text):
            yield match.span()
