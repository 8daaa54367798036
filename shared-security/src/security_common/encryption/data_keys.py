"""One key of a ring: its material, judged before use, and the keys derived from it for each context."""

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

__all__ = ["DataKey", "KeyState", "parse_material"]

MATERIAL_BYTES = 32
FEWEST_DISTINCT_BYTES = 16
"""32 random bytes hold about 30 distinct values; fewer than 16 is a pattern, never chance."""

EXAMPLE_KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
"""The test vector of the Fernet specification."""
_CONTEXT_LABEL = b"mcp-oauth2 security_common context v1\x00"
_ID_LABEL = b"mcp-oauth2 security_common key id v1"
_PROOF_LABEL = b"mcp-oauth2 security_common proof v1"

_HINT = "make a new one with `security-common keys generate`"


class KeyState(StrEnum):
    """What a key may do: encrypt and decrypt, only decrypt, or nothing at all."""

    PRIMARY = "primary"
    DECRYPT_ONLY = "decrypt-only"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A key, its state and when it was made. `key_id` follows from the material, which a destroyed key lacks."""

    key_id: str
    state: KeyState
    created_at: datetime | None
    material: bytes = field(repr=False)

    def cipher(self, context: Mapping[str, str] | None) -> Fernet:
        """The Fernet that serves this context; without one, the plain key, which any Fernet library can use."""
        return _cipher(self.material, None if context is None else canonical_context(context))

    def proof(self, token: str) -> str:
        """16 characters that show, without the context, that a holder of this key made a ciphertext."""
        digest = hmac.digest(_derived(self.material, _PROOF_LABEL), token.encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:12]).decode()


def canonical_context(context: Mapping[str, str]) -> bytes:
    """The same bytes for the same pairs in any order, and for no other pairs."""
    if not context:
        raise ValueError("an empty context binds to nothing; leave it out instead")
    return json.dumps(dict(context), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=4096)
def _cipher(material: bytes, context: bytes | None) -> Fernet:
    """Deriving costs as much as encrypting, and the contexts in use are few: they are kept."""
    key = material if context is None else _derived(material, _CONTEXT_LABEL + context)
    return Fernet(base64.urlsafe_b64encode(key))


@lru_cache(maxsize=64)
def _derived(material: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), MATERIAL_BYTES, salt=None, info=purpose).derive(material)


def key_id_of(material: bytes) -> str:
    """Eight hex digits that name the key and tell nothing about it."""
    return _derived(material, _ID_LABEL)[:4].hex()


def parse_material(text: str) -> bytes:
    """The 32 bytes of a Fernet key. Raises KeyringInvalid when it is none, EncryptionKeyWeak when it can be guessed."""
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
    steps = {(after - before) % 256 for before, after in pairwise(material)}
    if len(set(material)) < FEWEST_DISTINCT_BYTES or len(steps) < FEWEST_DISTINCT_BYTES:
        raise EncryptionKeyWeak("the key follows a pattern", hint=_HINT)
    return material
