"""Verifies an audit bundle offline. It needs Python 3.11 and the package `cryptography`, and nothing else.

    python verify.py [--key public_key.pem] [--checkpoints other.jws] [BUNDLE.zip or directory]

A bundle contains lines of one or more journals. Each line has the SHA-256 of the line before it in `prev`, and each
checkpoint is a signed SHA-256 of one line. A checkpoint of a line therefore proves every line before it, back to the
checkpoint before the first line. Two things cannot be seen in the bundle alone:

- lines that were removed after its last checkpoint: use --checkpoints with checkpoints that you have kept yourself;
- a replaced key: use --key with a public key that you received in another way than the bundle.

Exit status: 0 every line is covered by a checkpoint and unchanged; 1 something was changed, is missing or out of order;
2 the bundle cannot be read, or the key is not the one that signed its checkpoints; 3 unchanged, but some lines have no
checkpoint yet.

This file is copied into every bundle as verify.py. `security-common audit verify` uses the same rules for the chain.
"""

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

JsonObject = dict[str, Any]
"""A checkpoint, or the entry of a journal in the manifest."""

CHECKPOINT_TYPE = "audit-checkpoint+jwt"
DIGEST_BEFORE_FIRST_LINE = "0" * 64


# The rules of the chain. `security-common audit verify` uses them too.


@dataclass(frozen=True, slots=True)
class ChainPosition:
    """The position after a line of a journal. `seq` or `digest` is None if a damaged line left it unknown."""

    journal_id: str | None = None
    seq: int | None = None
    digest: str | None = None

    def after(self, journal_id: str, seq: int, line: bytes) -> "ChainPosition":
        """The position after `line`, which is without its newline."""
        return ChainPosition(journal_id, seq, hashlib.sha256(line).hexdigest())

    def after_damaged_line(self) -> "ChainPosition":
        return ChainPosition(self.journal_id, None if self.seq is None else self.seq + 1)

    def find_break(self, seq: int, prev: str) -> str | None:
        """Why a line with this number and link cannot follow in the same journal, or None."""
        if self.seq is not None and seq != self.seq + 1:
            problem = "lines are missing" if seq > self.seq + 1 else "a line is repeated or out of order"
            return f"{problem}: seq {seq} follows {self.seq}"
        if self.digest is not None and prev != self.digest:
            return f"seq {seq} does not link to the line before it"
        return None

    def find_forgery(self, signed_digest: str, signed_at: str) -> str | None:
        """Why the last line is not the one that a checkpoint signed, or None."""
        if self.digest == signed_digest:
            return None
        return f"this is not the line that was signed at {signed_at}"


# Bundles.


@dataclass
class BundleVerdict:
    """The result. `covered` has a sentence for each journal; `uncovered` counts the lines without a checkpoint."""

    lines: int = 0
    uncovered: int = 0
    problems: list[str] = field(default_factory=list[str])
    covered: list[str] = field(default_factory=list[str])

    @property
    def exit_status(self) -> int:
        if self.problems:
            return 1
        return 3 if self.uncovered else 0


class WrongKey(ValueError):
    """The key is not the one that the checkpoints name, so nothing can be concluded about the lines."""


class Bundle:
    """A ZIP file, or the directory into which it was extracted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = None if path.is_dir() else zipfile.ZipFile(path)

    def read(self, name: str) -> bytes:
        return self._archive.read(name) if self._archive else (self._path / name).read_bytes()


def verify_bundle(bundle: Bundle, key: rsa.RSAPublicKey, other_checkpoints: list[str]) -> BundleVerdict:
    """Verifies all journals. Raises OSError, KeyError or ValueError if the bundle cannot be read, and WrongKey."""
    verdict = BundleVerdict()
    manifest = json.loads(bundle.read("manifest.json"))
    signed = [*bundle.read("checkpoints.jws").decode().splitlines(), *other_checkpoints]
    checkpoints = verify_checkpoints([text for text in signed if text], key, manifest["service"], verdict)
    for entry in manifest["journals"]:
        name = f"journals/{entry['journal_id']}.jsonl"
        of_journal = [each for each in checkpoints if each["journal_id"] == entry["journal_id"]]
        of_journal.sort(key=lambda each: (each["seq"], each["time"]))
        verify_journal(name, bundle.read(name), entry, of_journal, verdict, until=manifest["until"])
    return verdict


def verify_checkpoints(
    signed: list[str], key: rsa.RSAPublicKey, service: str, verdict: BundleVerdict
) -> list[JsonObject]:
    """The checkpoints of the service. Those with a wrong signature are problems. Raises WrongKey."""
    own_key_id = thumbprint(key)
    checkpoints: list[JsonObject] = []
    for number, text in enumerate(signed, start=1):
        try:
            key_id, checkpoint_service = unverified_claims(text)
            if checkpoint_service != service:
                continue  # a file of kept checkpoints can contain those of other services
            checkpoint = verify_checkpoint(text, key) if key_id == own_key_id else None
        except (InvalidSignature, ValueError, KeyError, TypeError):
            verdict.problems.append(f"checkpoint {number} was changed or forged: its signature is wrong")
            continue
        if checkpoint is None:
            message = f"checkpoint {number} was signed with the key {key_id}, but this is the key {own_key_id}"
            raise WrongKey(message)
        checkpoints.append(checkpoint)
    return checkpoints


def verify_journal(
    name: str, data: bytes, entry: JsonObject, checkpoints: list[JsonObject], verdict: BundleVerdict, *, until: str
) -> None:
    """Verifies the lines of one journal. Only the first break is reported; the lines after it are not trusted."""
    signed = {each["seq"]: each for each in checkpoints}
    first_seq = entry["first_seq"]
    position = position_before(entry["journal_id"], first_seq, signed)
    lines = data.splitlines()
    for number, line in enumerate(lines, start=1):
        problem, position = check_line(line, position, signed)
        if problem is not None:
            verdict.problems.append(f"{name}:{number}: {problem}")
            return
    last_seq = first_seq + len(lines) - 1
    verdict.lines += len(lines)
    if last_seq != entry["last_seq"]:
        verdict.problems.append(f"{name}: ends at seq {last_seq}, but the manifest has {entry['last_seq']}")
    ends_at = datetime.fromisoformat(until)
    later = [each for each in checkpoints if each["seq"] > last_seq and datetime.fromisoformat(each["time"]) <= ends_at]
    if later:
        verdict.problems.append(f"{name}: ends at seq {last_seq}, but a checkpoint of {later[0]['time']} is later")
    covered_seqs = [each["seq"] for each in checkpoints if first_seq <= each["seq"] <= last_seq]
    covered_through = max(covered_seqs, default=first_seq - 1)
    verdict.uncovered += last_seq - covered_through
    verdict.covered.append(describe_coverage(name, first_seq, covered_through, checkpoints))


def position_before(journal_id: str, first_seq: int, signed: dict[int, JsonObject]) -> ChainPosition:
    """The position before the first line of the bundle, from the checkpoint of the line before it."""
    if first_seq == 1:
        return ChainPosition(journal_id, 0, DIGEST_BEFORE_FIRST_LINE)
    before = signed.get(first_seq - 1)
    return ChainPosition(journal_id, first_seq - 1, before["digest"] if before else None)


def check_line(line: bytes, position: ChainPosition, signed: dict[int, JsonObject]) -> tuple[str | None, ChainPosition]:
    """The problem with a line, if any, and the position after it."""
    try:
        members = json.loads(line)
        journal_id, seq, prev = members["journal_id"], members["seq"], members["prev"]
    except (ValueError, KeyError, TypeError):
        return "this is not an audit line", position
    if not isinstance(seq, int):
        return "this is not an audit line: its seq is not a number", position
    if journal_id != position.journal_id:
        return f"this is a line of journal {journal_id}", position
    problem = position.find_break(seq, prev)
    position = position.after(journal_id, seq, line)
    checkpoint = signed.get(seq)
    if problem is None and checkpoint is not None:
        problem = position.find_forgery(checkpoint["digest"], checkpoint["time"])
    return problem, position


def describe_coverage(name: str, first_seq: int, through: int, checkpoints: list[JsonObject]) -> str:
    """Between which signed times the lines are complete."""
    if through < first_seq:
        return f"{name}: no checkpoint covers its lines"
    before = [each["time"] for each in checkpoints if each["seq"] == first_seq - 1]
    start = "the beginning of the journal" if first_seq == 1 else max(before, default="a line without a checkpoint")
    end = max(each["time"] for each in checkpoints if each["seq"] == through)
    return f"{name}: seq {first_seq} to {through}, complete from {start} to {end}"


# Signatures. The auditor's machine has no JOSE library, so the compact JWS is parsed here.


def verify_checkpoint(text: str, key: rsa.RSAPublicKey) -> JsonObject:
    """The payload of a compact JWS (RFC 7515 section 3.1), RS256 only. Raises InvalidSignature and ValueError."""
    header, payload, signature = text.strip().split(".")
    header_members = json.loads(decode_base64url(header))
    if header_members.get("alg") != "RS256" or header_members.get("typ") != CHECKPOINT_TYPE:
        raise ValueError("not a checkpoint")
    signing_input = f"{header}.{payload}".encode()
    key.verify(decode_base64url(signature), signing_input, padding.PKCS1v15(), hashes.SHA256())
    return json.loads(decode_base64url(payload))


def unverified_claims(text: str) -> tuple[str, str]:
    """The key id and the service that a checkpoint names, before verification. Raises ValueError and KeyError."""
    header, payload, _ = text.strip().split(".")
    return json.loads(decode_base64url(header))["kid"], json.loads(decode_base64url(payload))["service"]


def thumbprint(key: rsa.RSAPublicKey) -> str:
    """The id of the key: its JWK thumbprint with SHA-256 (RFC 7638)."""
    numbers = key.public_numbers()
    members = {"e": encode_integer(numbers.e), "kty": "RSA", "n": encode_integer(numbers.n)}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    return encode_base64url(digest)


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """SHA-256 of the key in DER, to be compared with the key that you received in another way."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def load_public_key(pem: bytes) -> rsa.RSAPublicKey:
    """Raises ValueError if this is not an RSA public key in PEM."""
    match serialization.load_pem_public_key(pem):
        case rsa.RSAPublicKey() as key:
            return key
        case _:
            raise ValueError("the public key is not an RSA key")


def encode_integer(number: int) -> str:
    return encode_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--key", type=Path, help="the public key, from another source than the bundle")
    parser.add_argument("--checkpoints", type=Path, help="checkpoints that were kept elsewhere, one on each line")
    arguments = parser.parse_args()
    try:
        bundle = Bundle(arguments.bundle)
        key = load_public_key(arguments.key.read_bytes() if arguments.key else bundle.read("public_key.pem"))
        checkpoints: list[str] = arguments.checkpoints.read_text().splitlines() if arguments.checkpoints else []
        verdict = verify_bundle(bundle, key, checkpoints)
    except WrongKey as error:
        print(f"error: this is not the key of the bundle: {error}", file=sys.stderr)
        return 2
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        print(f"error: the bundle cannot be read: {error}", file=sys.stderr)
        return 2
    print(f"key {fingerprint(key)}{'' if arguments.key else ' (from the bundle itself)'}")
    for sentence in (*verdict.covered, *verdict.problems):
        print(sentence)
    print(f"{verdict.lines} lines, {len(verdict.problems)} problems, {verdict.uncovered} without a checkpoint")
    return verdict.exit_status


if __name__ == "__main__":
    sys.exit(main())
