"""A period of a service's journals as one ZIP file for an auditor, with what is needed to verify it.

journals/<journal id>.jsonl   every line from the checkpoint before the period to the one after it
checkpoints.jws               the checkpoint before the first line, and those of the lines
public_key.pem                the key of the checkpoints
manifest.json                 the service, the period, and the range of each journal
verify.py                     the verifier (bundle_verifier.py)
README.txt
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

__all__ = ["BundledJournal", "NothingToBundle", "write_bundle"]


class NothingToBundle(SecurityError):
    """No journal of the service has an event in the period."""

    error = "nothing_to_bundle"


@dataclass(frozen=True, slots=True)
class BundledJournal:
    """The range of a journal that is in the bundle. `is_covered`: a checkpoint covers its last line."""

    journal_id: str
    first_seq: int
    last_seq: int
    is_covered: bool


@dataclass(slots=True)
class _PeriodRange:
    """The lines of a journal in the period, and the last line of the journal."""

    first_seq: int
    last_seq: int
    journal_end: int


VerifiedCheckpoints = list[tuple[Checkpoint, str]]
"""Verified checkpoints of one journal with their signed text, ordered by seq and time."""


def write_bundle(
    target: Path, directory: Path, signed: Iterable[str], key: RSAKey, *, since: datetime, until: datetime
) -> list[BundledJournal]:
    """Writes the events of [since, until) of a service. Raises NothingToBundle, CheckpointKeyInvalid and OSError."""
    ranges = _find_ranges(directory, since, until)
    if not ranges:
        raise NothingToBundle(
            "there are no events in this period", hint="audit bundle --since 2026-11-01 --until 2026-12-01"
        )
    checkpoints_by_journal = _verify_checkpoints(signed, key, directory.name)
    bundled: list[BundledJournal] = []
    checkpoints: list[str] = []
    for journal_id, period_range in ranges.items():
        journal_checkpoints = checkpoints_by_journal.get(journal_id, [])
        journal = _extend_to_checkpoints(journal_id, period_range, journal_checkpoints, since=since, until=until)
        bundled.append(journal)
        checkpoints += [
            text for each, text in journal_checkpoints if journal.first_seq - 1 <= each.seq <= journal.last_seq
        ]
    manifest = {
        "service": directory.name,
        "since": since.astimezone(UTC).isoformat(),
        "until": until.astimezone(UTC).isoformat(),
        "journals": [
            {"journal_id": each.journal_id, "first_seq": each.first_seq, "last_seq": each.last_seq} for each in bundled
        ],
    }
    package = files("security_common.audit.reading")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for journal in bundled:
            _write_lines(archive, directory, journal)
        archive.writestr("checkpoints.jws", "".join(f"{each}\n" for each in checkpoints))
        archive.writestr("public_key.pem", key.as_pem(private=False))
        archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        archive.writestr("verify.py", package.joinpath("bundle_verifier.py").read_bytes())
        archive.writestr("README.txt", package.joinpath("bundle_readme.txt").read_bytes())
    return bundled


def _extend_to_checkpoints(
    journal_id: str, period_range: _PeriodRange, checkpoints: VerifiedCheckpoints, *, since: datetime, until: datetime
) -> BundledJournal:
    """The range from the last checkpoint before the period to the first one after it."""
    before = [
        each
        for each, _ in checkpoints
        if each.seq < period_range.first_seq and datetime.fromisoformat(each.time) <= since
    ]
    covering = [each for each, _ in checkpoints if each.seq >= period_range.last_seq]
    after = [each for each in covering if datetime.fromisoformat(each.time) >= until]
    last_checkpoints = after or covering
    return BundledJournal(
        journal_id,
        first_seq=before[-1].seq + 1 if before else 1,
        last_seq=last_checkpoints[0].seq if last_checkpoints else period_range.journal_end,
        is_covered=bool(last_checkpoints),
    )


def _write_lines(archive: zipfile.ZipFile, directory: Path, journal: BundledJournal) -> None:
    with archive.open(f"journals/{journal.journal_id}.jsonl", "w") as file:
        for line, members in _each_line(directory):
            is_of_journal = members["journal_id"] == journal.journal_id
            if is_of_journal and journal.first_seq <= members["seq"] <= journal.last_seq:
                file.write(line)


def _find_ranges(directory: Path, since: datetime, until: datetime) -> dict[str, _PeriodRange]:
    ranges: dict[str, _PeriodRange] = {}
    for _, members in _each_line(directory):
        journal_id, seq = members["journal_id"], members["seq"]
        if since <= datetime.fromisoformat(members["timestamp"]) < until:
            period_range = ranges.setdefault(journal_id, _PeriodRange(seq, seq, seq))
            period_range.last_seq = max(period_range.last_seq, seq)
        if journal_id in ranges:
            ranges[journal_id].journal_end = max(ranges[journal_id].journal_end, seq)
    return ranges


def _each_line(directory: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Complete lines that are JSON. `audit verify` reports what is wrong with the others."""
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


def _verify_checkpoints(signed: Iterable[str], key: RSAKey, service: str) -> dict[str, VerifiedCheckpoints]:
    """The service's checkpoints that this key signed, for each journal.

    Raises CheckpointKeyInvalid if the service has checkpoints and another key signed all of them.
    """
    checkpoints_by_journal: dict[str, VerifiedCheckpoints] = {}
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
        checkpoints_by_journal.setdefault(checkpoint.journal_id, []).append((checkpoint, text))
    if other_keys and not checkpoints_by_journal:
        raise CheckpointKeyInvalid(
            f"the checkpoints of {service} were signed with the key {', '.join(sorted(other_keys))}, "
            f"not with this one ({key.thumbprint()})",
            hint="set SECURITY_AUDIT_CHECKPOINT_KEY_FILE to the key of that service, or use --keys",
        )
    for checkpoints in checkpoints_by_journal.values():
        checkpoints.sort(key=lambda each: (each[0].seq, each[0].time))
    return checkpoints_by_journal
