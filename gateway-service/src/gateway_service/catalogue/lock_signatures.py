"""Signatures of gateway.lock, so that a changed file without the key of a person who may approve is not used.

A signature is a JWS with a detached payload (RFC 7515 appendix F) and the algorithm Ed25519 (RFC 9864). The payload is
the canonical JSON (RFC 8785) of the file without definitions and signatures: the digests represent the definitions. The
key id is the thumbprint of the key (RFC 7638).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from gateway_service.catalogue.lock_file import Lock, LockInvalid, read_lock
from security_common.secret_files import read_secret_file

__all__ = ["load_lock", "sign_lock"]

ALGORITHM = "Ed25519"
CURVE = "Ed25519"
_PEM_BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)
_KEY_HINT = "`openssl genpkey -algorithm ed25519 -out approver.pem` makes a key, `openssl pkey -pubout` its public key"


def load_lock(file: Path, keys_file: Path | None) -> Lock | None:
    """The lock, or None without the file. With a file of public keys, it has to be signed with one of them.

    Raises `LockInvalid`.
    """
    lock = read_lock(file)
    if keys_file is None:
        return lock
    if lock is None:
        hint = "GATEWAY_LOCK_KEYS_FILE demands one: `gateway-service pin`, then `gateway-service approve --sign KEY`"
        raise LockInvalid(f"{file} does not exist", hint=hint)
    keys = _read_public_keys(keys_file)
    payload = lock.signed_bytes
    if not any(_is_valid(payload, signature, key) for signature in lock.signatures for key in keys):
        hint = f"`gateway-service approve --sign KEY` signs it; {keys_file} has the accepted keys"
        raise LockInvalid(f"{file} has no valid signature of an accepted key", hint=hint)
    return lock


def sign_lock(lock: Lock, key_file: Path) -> tuple[Lock, str]:
    """The lock with one more signature, and the id of the key. Raises `LockInvalid` and `SecretMissing`."""
    key = _read_key(key_file, read_secret_file(key_file, setting="--sign", hint=_KEY_HINT))
    if not key.is_private:
        raise LockInvalid(f"{key_file} has a public key", hint=_KEY_HINT)
    key_id = key.thumbprint()
    token = jws.serialize_compact({"alg": ALGORITHM, "kid": key_id}, lock.signed_bytes, key, algorithms=[ALGORITHM])
    protected, _, signature = token.split(".")
    added = {"protected": protected, "signature": signature}
    return replace(lock, signatures=(*lock.signatures, added)), key_id


def _read_public_keys(file: Path) -> list[OKPKey]:
    """The keys of the file. Raises `LockInvalid`."""
    text = read_secret_file(file, setting="GATEWAY_LOCK_KEYS_FILE", error=LockInvalid, hint=_KEY_HINT)
    blocks: list[str] = _PEM_BLOCK.findall(text)
    if not blocks:
        raise LockInvalid(f"{file} has no key in the form of PEM", hint=_KEY_HINT)
    keys = [_read_key(file, block) for block in blocks]
    if any(key.is_private for key in keys):
        raise LockInvalid(f"{file} has a private key, which only its owner may have", hint=_KEY_HINT)
    return keys


def _read_key(file: Path, pem: str) -> OKPKey:
    try:
        key = OKPKey.import_key(pem)
    except (ValueError, TypeError, JoseError):
        key = None  # the exception quotes the file
    if key is None or key.curve_name != CURVE:
        raise LockInvalid(f"{file} has a key that is not an Ed25519 key in the form of PEM", hint=_KEY_HINT)
    return key


def _is_valid(payload: bytes, signature: Mapping[str, str], key: OKPKey) -> bool:
    token = f"{signature['protected']}..{signature['signature']}"
    try:
        jws.deserialize_compact(token, key, algorithms=[ALGORITHM], payload=payload)
    except (ValueError, JoseError):
        return False
    return True
