"""The ciphertext as text: `enc:v1:<alg>:<kid>:<token>` around a standard Fernet token, with a proof of its key."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from security_common.encryption.errors import CiphertextMalformed

__all__ = ["Envelope", "ciphertext_spans"]

PLAIN, BOUND = "fernet", "fernet-hkdf"
"""`fernet` is encrypted by the key itself, `fernet-hkdf` by a key derived from it for one context."""

# A Fernet token begins with the version byte 0x80 and the zero bytes of a 64-bit time: `gAAAAA`.
_FERNET = r"gAAAAA[A-Za-z0-9_-]{92,}={0,2}"
_ENVELOPE = re.compile(rf"enc:v1:(fernet|fernet-hkdf):([0-9a-f]{{8}}):({_FERNET})(?:\.([A-Za-z0-9_-]{{16}}))?")
_ANY = re.compile(rf"{_ENVELOPE.pattern}|{_FERNET}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ciphertext, taken apart. A bare Fernet token has no `key_id`; only one bound to a context has a `proof`."""

    algorithm: str
    key_id: str | None
    token: str
    proof: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises CiphertextMalformed."""
        if match := _ENVELOPE.fullmatch(text):
            return cls(*match.groups())
        if not text.startswith("enc:") and _ANY.fullmatch(text):
            return cls(PLAIN, None, text)
        raise CiphertextMalformed("the text is no ciphertext of ours")

    def __str__(self) -> str:
        if self.key_id is None:
            return self.token
        return f"enc:v1:{self.algorithm}:{self.key_id}:{self.token}" + (f".{self.proof}" if self.proof else "")


def ciphertext_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where a text has the shape of ciphertext; `EncryptionService.recognizes` tells whether it is."""
    if "gAAAAA" in text:
        for match in _ANY.finditer(text):
            yield match.span()
