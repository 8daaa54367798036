"""One data key of a keyring: its state, the check that it is strong enough, and the keys derived from it."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from security_common.encryption.errors import EncryptionKeyWeak, KeyringInvalid

__all__ = ["MATERIAL_BYTES", "DataKey", "KeyState", "key_id_of", "parse_material"]

MATERIAL_BYTES = 32
MIN_DISTINCT_VALUES = 16
"""32 random bytes have about 30 distinct values. With fewer than 16, the key is a pattern."""

EXAMPLE_KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
"""The test vector of the Fernet specification."""

# HKDF `info` values. They are part of the format: changing one makes existing ciphertext unreadable.
_CONTEXT_INFO = b"mcp-oauth2 security_common context v1\x00"
_KEY_ID_INFO = b"mcp-oauth2 security_common key id v1"
_PROOF_INFO = b"mcp-oauth2 security_common proof v1"

_HINT = "generate a new key with `security-common keys generate`"


class KeyState(StrEnum):
    """What a key is used for: encryption and decryption, only decryption, or nothing."""

    PRIMARY = "primary"
    DECRYPT_ONLY = "decrypt-only"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A key, its state and its time of creation, if known. A destroyed key has an id but no material."""

    key_id: str
    state: KeyState
    created_at: datetime | None
    material: bytes = field(repr=False)

    def cipher(self, context: Mapping[str, str] | None) -> Fernet:
        """The Fernet cipher for a context. Without context it uses the key itself, as any Fernet library does."""
        return _cipher(self.material, None if context is None else canonical_context(context))

    def proof(self, token: str) -> str:
        """16 characters that prove, without the context, that a token was created with this key.

        HMAC-SHA256 over the token with a derived key, cut to 96 bits.
        """
        digest = hmac.digest(_derive(self.material, _PROOF_INFO), token.encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:12]).decode()


def canonical_context(context: Mapping[str, str]) -> bytes:
    """A context as bytes that depend on its pairs but not on their order. Raises ValueError if it is empty."""
    if not context:
        raise ValueError("an empty context does not bind a ciphertext; omit the context instead")
    return json.dumps(dict(context), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=4096)
def _cipher(material: bytes, context: bytes | None) -> Fernet:
    """Cached, because deriving a key costs as much as encrypting a field, and a caller uses the same fields again."""
    key = material if context is None else _derive(material, _CONTEXT_INFO + context)
    return Fernet(base64.urlsafe_b64encode(key))


# Cached for the proof key of each data key, which every ciphertext needs.
@lru_cache(maxsize=64)
def _derive(material: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), MATERIAL_BYTES, salt=None, info=info).derive(material)


def key_id_of(material: bytes) -> str:
    """Eight hexadecimal digits that identify a key and reveal nothing about it."""
    return _derive(material, _KEY_ID_INFO)[:4].hex()


def parse_material(text: str) -> bytes:
    """The 32 bytes of a Fernet key. Raises KeyringInvalid if it is malformed, EncryptionKeyWeak if it is guessable."""
    try:
        material = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except ValueError:
        raise KeyringInvalid("the key is not base64url text", hint=_HINT) from None
    if len(material) != MATERIAL_BYTES:
        raise KeyringInvalid(f"the key has {len(material)} bytes instead of {MATERIAL_BYTES}", hint=_HINT)
    if text.strip() == EXAMPLE_KEY:
        raise EncryptionKeyWeak("the key is a published example", hint=_HINT)
    if all(0x20 <= byte < 0x7F for byte in material):
        raise EncryptionKeyWeak("the key is text, not random bytes", hint=_HINT)
    differences = {(after - before) % 256 for before, after in pairwise(material)}
    if len(set(material)) < MIN_DISTINCT_VALUES or len(differences) < MIN_DISTINCT_VALUES:
        raise EncryptionKeyWeak("the key follows a pattern", hint=_HINT)
    return material
