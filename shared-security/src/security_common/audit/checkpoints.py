"""Signed checkpoints, which prove that the lines of a journal were not changed or removed afterwards.

    every N minutes, even without new events, and at the end of the process:

    {journal_id, service, seq, digest of line seq, time, chain_key_id}
        ── RS256 ──▶ a JWS (RFC 7515) whose `kid` is the key's thumbprint (RFC 7638)
        ──▶ checkpoints.jws   ──▶ stream audit:checkpoints   ──▶ the log

The signature covers the digest of one line, the `prev` of that line covers the line before, and so on to the first.
With checkpoints that are kept elsewhere, the public key is enough to prove that nothing before them was changed or
removed. Both key ids are included so that verification with a wrong key is not reported as a changed journal.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from pydantic import TypeAdapter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from security_common.audit.journal_line import ChainHead
from security_common.errors import SecurityError
from security_common.private_files import make_private_directory, sync_descriptor
from security_common.secret_files import read_secret_file

__all__ = [
    "CHECKPOINTS_KEY",
    "CHECKPOINTS_NAME",
    "Checkpoint",
    "CheckpointKeyInvalid",
    "Checkpoints",
    "UnverifiedCheckpoint",
    "load_checkpoint_key",
    "parse_unverified",
    "read_checkpoint",
    "read_checkpoint_file",
]

CHECKPOINTS_KEY = "audit:checkpoints"
CHECKPOINTS_NAME = "checkpoints.jws"
STREAM_CHECKPOINTS = 10_000
"""Kept in the stream, about 11 MB: one every five minutes for a month. The file keeps all of them."""

_TYPE = "audit-checkpoint+jwt"

logger = logging.getLogger(__name__)


class CheckpointKeyInvalid(SecurityError):
    """The file of SECURITY_AUDIT_CHECKPOINT_KEY_FILE does not contain a usable RSA key of at least 2048 bits."""

    error = "checkpoint_key_invalid"
    client_text = "this server has no usable audit key (its operator finds the cause in the log)"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`digest` is the SHA-256 of line `seq`; `time` is RFC 3339 in UTC; `chain_key_id` is the id of the seals' key.

    Checkpoints of older releases have no `chain_key_id`.
    """

    journal_id: str
    service: str
    seq: int
    digest: str
    time: str
    chain_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class UnverifiedCheckpoint:
    """The content of a checkpoint before its signature is verified; `key_id` is the key that its header names.

    Use it only to choose the key, and to report a checkpoint that cannot be verified.
    """

    key_id: str
    claimed: Checkpoint


class Checkpoints:
    """Signs checkpoints of one journal and writes them to a file in `directory`, to the stream and to the log."""

    def __init__(
        self,
        *,
        service: str,
        key: RSAKey,
        chain_key_id: str,
        directory: Path,
        redis: Redis | None,
        clock_ns: Callable[[], int],
    ) -> None:
        self._service = service
        self._key = key
        self._chain_key_id = chain_key_id
        self._path = directory / CHECKPOINTS_NAME
        self._redis = redis
        self._clock_ns = clock_ns

    async def write(self, head: ChainHead) -> Checkpoint:
        """Raises OSError if the file cannot be written. If Redis is unavailable, the stream does not get a copy."""
        now = datetime.fromtimestamp(self._clock_ns() // 1_000_000_000, UTC)
        checkpoint = Checkpoint(
            head.journal_id, self._service, head.seq, head.digest, now.isoformat(), self._chain_key_id
        )
        signed = _sign(checkpoint, self._key)
        _append(self._path, signed)
        logger.info("audit_checkpoint jws=%s", signed)
        if self._redis is not None:
            try:
                await self._redis.xadd(
                    CHECKPOINTS_KEY, {"checkpoint": signed}, maxlen=STREAM_CHECKPOINTS, approximate=True
                )
            except (RedisError, OSError) as error:
                logger.warning("audit_checkpoint_not_in_stream cause=%s", type(error).__name__)
        return checkpoint


def load_checkpoint_key(path: Path, *, signs: bool = False) -> RSAKey:
    """Reads an RSA key in PEM; with `signs` it has to be a private key. Raises CheckpointKeyInvalid."""
    hint = "the file has an RSA key in PEM; `security-common setup` creates one"
    pem = read_secret_file(path, setting="SECURITY_AUDIT_CHECKPOINT_KEY_FILE", error=CheckpointKeyInvalid, hint=hint)
    try:
        key = _read_key(pem.encode())
    except (ValueError, TypeError, JoseError) as error:
        raise CheckpointKeyInvalid(f"{path} does not contain an RSA key", hint=hint) from error
    if key.raw_value.key_size < 2048:
        raise CheckpointKeyInvalid(f"the RSA key in {path} is shorter than 2048 bits", hint=hint)
    if signs and not key.is_private:
        raise CheckpointKeyInvalid(
            f"the RSA key in {path} is a public key", hint="signing checkpoints needs the private key"
        )
    return key


def _read_key(pem: bytes) -> RSAKey:
    if b"PRIVATE" not in pem:
        return RSAKey.import_key(pem)
    # One signature shows whether both halves belong together. OpenSSL's own check would delay every start by 0.1 s.
    private: Any = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    key = RSAKey.import_key(private)
    _check_key_signs(key)
    return key


def _check_key_signs(key: RSAKey) -> None:
    """Signs an empty text and verifies it. Raises JoseError if the halves of the key do not belong together."""
    signed = jws.serialize_compact({"alg": "RS256"}, b"", key)
    jws.deserialize_compact(signed, key, algorithms=["RS256"])


def read_checkpoint(signed: str, key: RSAKey) -> Checkpoint:
    """Verifies the signature and returns the checkpoint. Raises ValueError if this key did not sign it."""
    try:
        verified = jws.deserialize_compact(signed, key, algorithms=["RS256"])
        if verified.headers().get("typ") != _TYPE:
            raise ValueError("not a checkpoint")
        return _from_payload(verified.payload)
    except (JoseError, TypeError) as error:
        raise ValueError("not signed by this key, or not a checkpoint") from error


def parse_unverified(signed: str) -> UnverifiedCheckpoint:
    """Parses a checkpoint without verifying its signature. Raises ValueError if it is not a checkpoint."""
    try:
        unverified = jws.extract_compact(signed.encode())
        header = unverified.headers()
        if header.get("typ") != _TYPE:
            raise ValueError("not a checkpoint")
        return UnverifiedCheckpoint(str(header.get("kid")), _from_payload(unverified.payload))
    except (JoseError, TypeError) as error:
        raise ValueError("not a checkpoint") from error


def read_checkpoint_file(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and signed checkpoints of a file. An incomplete last line is being written and is left out."""
    if not path.exists():
        return
    with path.open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith("\n"):
                yield number, line.strip()


def _from_payload(payload: bytes) -> Checkpoint:
    """Unknown members, as of a later release, are ignored. Raises ValueError."""
    return _CHECKPOINT_ADAPTER.validate_json(payload, strict=True)


_CHECKPOINT_ADAPTER = TypeAdapter(Checkpoint)


def _sign(checkpoint: Checkpoint, key: RSAKey) -> str:
    header = {"alg": "RS256", "typ": _TYPE, "kid": key.thumbprint()}
    payload = json.dumps(asdict(checkpoint), sort_keys=True, separators=(",", ":"))
    return jws.serialize_compact(header, payload, key)


def _append(path: Path, line: str) -> None:
    make_private_directory(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode("ascii") + b"\n")
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
