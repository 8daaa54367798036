"""Checks an audit bundle offline. Needs Python 3.11 and the package `cryptography`, nothing of the system it came from.

    python verify.py [--key public_key.pem] [--checkpoints kept_elsewhere.jws] [BUNDLE.zip or folder]

A bundle holds the lines of one or more journals. Each line names the SHA-256 of the line before it in `prev`; each
checkpoint is the signed SHA-256 of one line. So a checkpoint over a line vouches for every line before it, down to the
checkpoint in front of the first. What this cannot see without more: lines cut off behind the last checkpoint of the
bundle. Give checkpoints that you kept elsewhere (--checkpoints) to see that too, and a public key that you did not get
with the bundle (--key): who could change the bundle could change the key in it.

Exit status: 0 everything is covered and intact; 1 something was changed, is missing or out of order; 2 the bundle
cannot be read, or this is not the key that its checkpoints were signed with; 3 intact, but some lines have no
checkpoint over them yet.
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

Members = dict[str, Any]
"""A JSON object: a checkpoint, or a journal's entry in the manifest."""

CHECKPOINT_TYPE = "audit-checkpoint+jwt"


@dataclass
class Verdict:
    """What to print, and the exit status that follows from it."""

    lines: int = 0
    uncovered: int = 0
    problems: list[str] = field(default_factory=list[str])
    covered: list[str] = field(default_factory=list[str])

    @property
    def status(self) -> int:
        return 1 if self.problems else 3 if self.uncovered else 0


class WrongKey(ValueError):
    """The key is not the one that the checkpoints name: that says nothing about the lines."""


class Bundle:
    """A zip file or the folder it was unpacked to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = None if path.is_dir() else zipfile.ZipFile(path)

    def read(self, name: str) -> bytes:
        return self._archive.read(name) if self._archive else (self._path / name).read_bytes()


def verify(bundle: Bundle, key: rsa.RSAPublicKey, extra_checkpoints: list[str]) -> Verdict:
    """Judges the whole bundle. Raises OSError, KeyError or ValueError when it cannot be read, WrongKey."""
    verdict = Verdict()
    manifest = json.loads(bundle.read("manifest.json"))
    signed = [*bundle.read("checkpoints.jws").decode().splitlines(), *extra_checkpoints]
    checkpoints: dict[str, list[Members]] = {}
    for number, text in enumerate(filter(None, signed), start=1):
        try:
            key_id, service = claims_of(text)
            if service != manifest["service"]:
                continue  # kept elsewhere together with those of other services
            checkpoint = open_checkpoint(text, key) if key_id == thumbprint(key) else None
        except (InvalidSignature, ValueError, KeyError, TypeError):
            verdict.problems.append(f"checkpoint {number} was changed or forged: its signature is wrong")
            continue
        if checkpoint is None:
            told = f"checkpoint {number} was signed with the key {key_id}, this is the key {thumbprint(key)}"
            raise WrongKey(told)
        checkpoints.setdefault(checkpoint["journal_id"], []).append(checkpoint)
    for entry in manifest["journals"]:
        name = f"journals/{entry['journal_id']}.jsonl"
        mine = sorted(checkpoints.get(entry["journal_id"], []), key=lambda each: (each["seq"], each["time"]))
        verify_journal(name, bundle.read(name), entry, mine, verdict, until=manifest["until"])
    return verdict


def verify_journal(
    name: str, data: bytes, entry: Members, checkpoints: list[Members], verdict: Verdict, *, until: str
) -> None:
    """Walks one journal's lines; the first break is reported, what follows it is not trusted."""
    digests: dict[int, str] = {}
    expected_seq, expected_prev = entry["first_seq"], None
    signed = {each["seq"]: each for each in checkpoints}
    if expected_seq == 1:
        expected_prev = "0" * 64
    elif expected_seq - 1 in signed:
        expected_prev = signed[expected_seq - 1]["digest"]
    for number, line in enumerate(data.splitlines(), start=1):
        problem = broken(line, entry["journal_id"], expected_seq, expected_prev)
        if problem is None:
            digests[expected_seq] = expected_prev = hashlib.sha256(line).hexdigest()
            if expected_seq in signed and signed[expected_seq]["digest"] != expected_prev:
                problem = f"not the line that was signed at {signed[expected_seq]['time']}"
        if problem is not None:
            verdict.problems.append(f"{name}:{number}: {problem}")
            return
        expected_seq += 1
    last_seq = expected_seq - 1
    verdict.lines += len(digests)
    if last_seq != entry["last_seq"]:
        verdict.problems.append(f"{name}: ends at seq {last_seq}, the manifest says {entry['last_seq']}")
    later = [each for each in checkpoints if each["seq"] > last_seq and moment(each["time"]) <= moment(until)]
    if later:
        verdict.problems.append(f"{name}: ends at seq {last_seq}, a checkpoint of {later[0]['time']} stands behind it")
    covering = [each for each in checkpoints if entry["first_seq"] <= each["seq"] <= last_seq]
    through = max((each["seq"] for each in covering), default=entry["first_seq"] - 1)
    verdict.uncovered += last_seq - through
    verdict.covered.append(coverage(name, entry["first_seq"], through, checkpoints))


def broken(line: bytes, journal_id: str, expected_seq: int, expected_prev: str | None) -> str | None:
    """Why this line cannot stand here, or None."""
    try:
        members = json.loads(line)
        found = members["journal_id"], members["seq"], members["prev"]
    except (ValueError, KeyError, TypeError):
        return "no audit line"
    if found[:2] != (journal_id, expected_seq):
        return f"seq {expected_seq} is missing or out of order: here stands {found[1]}"
    if expected_prev is not None and found[2] != expected_prev:
        return f"seq {expected_seq} does not link to the line before it"
    return None


def coverage(name: str, first_seq: int, through: int, checkpoints: list[Members]) -> str:
    """The sentence that says between which signed moments the record is complete."""
    if through < first_seq:
        return f"{name}: no checkpoint over its lines"
    before = [each["time"] for each in checkpoints if each["seq"] == first_seq - 1]
    start = "the beginning of the journal" if first_seq == 1 else max(before, default="an unsigned place")
    end = max(each["time"] for each in checkpoints if each["seq"] == through)
    return f"{name}: seq {first_seq} to {through}, complete from {start} to {end}"


def open_checkpoint(text: str, key: rsa.RSAPublicKey) -> Members:
    """The payload of a JWS in compact form (RFC 7515 section 3.1), RS256. Raises InvalidSignature, ValueError."""
    header, payload, signature = text.strip().split(".")
    told = json.loads(decode(header))
    if told.get("alg") != "RS256" or told.get("typ") != CHECKPOINT_TYPE:
        raise ValueError("not a checkpoint")
    key.verify(decode(signature), f"{header}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(decode(payload))


def claims_of(text: str) -> tuple[str, str]:
    """The key and the service that a checkpoint names; nothing is checked yet. Raises ValueError, KeyError."""
    header, payload, _ = text.strip().split(".")
    return json.loads(decode(header))["kid"], json.loads(decode(payload))["service"]


def thumbprint(key: rsa.RSAPublicKey) -> str:
    """The key's id: RFC 7638, with SHA-256."""
    numbers = key.public_numbers()
    exponent, modulus = (
        base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode().rstrip("=")
        for number in (numbers.e, numbers.n)
    )
    members = json.dumps({"e": exponent, "kty": "RSA", "n": modulus}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).decode().rstrip("=")


def load_key(pem: bytes) -> rsa.RSAPublicKey:
    """Raises ValueError when this is no RSA public key in PEM."""
    match serialization.load_pem_public_key(pem):
        case rsa.RSAPublicKey() as key:
            return key
        case _:
            raise ValueError("the public key is no RSA key")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """SHA-256 of the key in DER: compare it with the one you were given by another way."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--key", type=Path, help="the public key, from another source than the bundle")
    parser.add_argument("--checkpoints", type=Path, help="checkpoints kept elsewhere, one a line")
    arguments = parser.parse_args()
    try:
        bundle = Bundle(arguments.bundle)
        key = load_key(arguments.key.read_bytes() if arguments.key else bundle.read("public_key.pem"))
        extra: list[str] = arguments.checkpoints.read_text().splitlines() if arguments.checkpoints else []
        verdict = verify(bundle, key, extra)
    except WrongKey as error:
        print(f"error: not the key of this bundle: {error}", file=sys.stderr)
        return 2
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        print(f"error: the bundle cannot be read: {error}", file=sys.stderr)
        return 2
    print(f"key {fingerprint(key)}{'' if arguments.key else ' (from the bundle itself)'}")
    for sentence in (*verdict.covered, *verdict.problems):
        print(sentence)
    print(f"{verdict.lines} lines, {len(verdict.problems)} problems, {verdict.uncovered} without a checkpoint")
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
