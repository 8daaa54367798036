"""A period of the journals as one file for an auditor: lines, checkpoints, public key, and the verifier.

events.zip   journals/<journal id>.jsonl   every line between two checkpoints around the period
checkpoints.jws               the one before the first line, and those over the lines
public_key.pem  manifest.json  verify.py  README.txt
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from joserfc.jwk import RSAKey

from security_common.audit.checkpoints import Checkpoint, CheckpointKeyInvalid, parse_unverified, read_checkpoint
from security_common.audit.segment_files import open_segments, slots_of
from security_common.errors import SecurityError

__all__ = ["Bundled", "NothingToBundle", "write_bundle"]


class NothingToBundle(SecurityError):
    """No journal of this service has an event in the period."""

    error = "nothing_to_bundle"


@dataclass(frozen=True, slots=True)
class Bundled:
    """What went in of one journal. `sealed` tells whether a checkpoint covers the last line."""

    journal_id: str
    first_seq: int
    last_seq: int
    sealed: bool


@dataclass(slots=True)
class _Range:
    first_seq: int
    last_seq: int
    journal_end: int


def write_bundle(
    target: Path, directory: Path, signed: Iterable[str], key: RSAKey, *, since: datetime, until: datetime
) -> list[Bundled]:
    """Writes the events of [since, until) of a service. Raises NothingToBundle, CheckpointKeyInvalid, OSError."""
    ranges = _ranges(directory, since, until)
    if not ranges:
        raise NothingToBundle("no events in this period", hint="audit bundle --since 2026-11-01 --until 2026-12-01")
    known = _signed_by_journal(signed, key, directory.name)
    bundled: list[Bundled] = []
    checkpoints: list[str] = []
    for journal_id, found in ranges.items():
        mine = known.get(journal_id, [])
        before = [each for each, _ in mine if each.seq < found.first_seq and _time(each) <= since]
        behind = [each for each, _ in mine if each.seq >= found.last_seq and _time(each) >= until]
        sealing = behind or [each for each, _ in mine if each.seq >= found.last_seq]
        first = before[-1].seq + 1 if before else 1
        last = sealing[0].seq if sealing else found.journal_end
        bundled.append(Bundled(journal_id, first, last, sealed=bool(sealing)))
        checkpoints += [text for each, text in mine if first - 1 <= each.seq <= last]
    _write(target, directory, bundled, checkpoints, key, since=since, until=until)
    return bundled


def _write(
    target: Path,
    directory: Path,
    bundled: list[Bundled],
    checkpoints: list[str],
    key: RSAKey,
    *,
    since: datetime,
    until: datetime,
) -> None:
    manifest = {
        "service": directory.name,
        "since": since.astimezone(UTC).isoformat(),
        "until": until.astimezone(UTC).isoformat(),
        "journals": [
            {"journal_id": each.journal_id, "first_seq": each.first_seq, "last_seq": each.last_seq} for each in bundled
        ],
    }
    here = files("security_common.audit.reading")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in bundled:
            with archive.open(f"journals/{each.journal_id}.jsonl", "w") as file:
                for line, members in _each_line(directory):
                    if members["journal_id"] == each.journal_id and each.first_seq <= members["seq"] <= each.last_seq:
                        file.write(line)
        archive.writestr("checkpoints.jws", "".join(f"{each}\n" for each in checkpoints))
        archive.writestr("public_key.pem", key.as_pem(private=False))
        archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        archive.writestr("verify.py", here.joinpath("bundle_verifier.py").read_bytes())
        archive.writestr("README.txt", here.joinpath("bundle_readme.txt").read_bytes())


def _ranges(directory: Path, since: datetime, until: datetime) -> dict[str, _Range]:
    found: dict[str, _Range] = {}
    for _, members in _each_line(directory):
        journal_id, seq = members["journal_id"], members["seq"]
        if since <= datetime.fromisoformat(members["timestamp"]) < until:
            known = found.setdefault(journal_id, _Range(seq, seq, seq))
            known.last_seq = max(known.last_seq, seq)
        if journal_id in found:
            found[journal_id].journal_end = max(found[journal_id].journal_end, seq)
    return found


def _each_line(directory: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Whole lines that are JSON at all; what is wrong with others is for `verify` to say."""
    for slot in slots_of(directory):
        for _, file in open_segments(slot):
            with file:
                for line in file:
                    try:
                        members = json.loads(line)
                    except ValueError:
                        continue
                    if line.endswith(b"\n"):
                        yield line, members


def _signed_by_journal(signed: Iterable[str], key: RSAKey, service: str) -> dict[str, list[tuple[Checkpoint, str]]]:
    """The service's checkpoints of this key, per journal, in the order of seq and time.

    Raises CheckpointKeyInvalid when there are checkpoints of this service, and another key signed all of them.
    """
    known: dict[str, list[tuple[Checkpoint, str]]] = {}
    other_keys: set[str] = set()
    for text in signed:
        try:
            unverified = parse_unverified(text)
            if unverified.claimed.service != service:
                continue
            if unverified.key_id != key.thumbprint():
                other_keys.add(unverified.key_id)
                continue
            checkpoint = read_checkpoint(text, key)
        except ValueError:
            continue
        known.setdefault(checkpoint.journal_id, []).append((checkpoint, text))
    if other_keys and not known:
        raise CheckpointKeyInvalid(
            f"the checkpoints of {service} were signed with the key {', '.join(sorted(other_keys))}, "
            f"not with this one ({key.thumbprint()})",
            hint="set SECURITY_AUDIT_CHECKPOINT_KEY_FILE to the key of that service, or give --keys",
        )
    for mine in known.values():
        mine.sort(key=lambda each: (each[0].seq, each[0].time))
    return known


def _time(checkpoint: Checkpoint) -> datetime:
    return datetime.fromisoformat(checkpoint.time)
