"""`audit verify` and the verifier of a bundle find every change of the files."""

import asyncio
import base64
import json
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from security_common.audit import AuditEvent, Outcome, open_journal
from security_common.audit.checkpoints import CheckpointKeyInvalid
from security_common.cli import app, main
from security_common.settings import SecuritySettings

pytestmark = pytest.mark.anyio

SERVICE = "tests"


@pytest.fixture(scope="session")
def checkpoint_pem(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "checkpoint.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture(scope="session")
def chain_key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "chain_key"
    path.write_bytes(base64.urlsafe_b64encode(b"k" * 32))
    return path


@pytest.fixture(scope="session")
def written_once(tmp_path_factory, checkpoint_pem, chain_key_file):
    """Forty events in several segments, with a checkpoint at the end."""
    settings = SecuritySettings(
        audit_dir=tmp_path_factory.mktemp("written"),
        audit_chain_key_file=chain_key_file,
        audit_checkpoint_key_file=checkpoint_pem,
        audit_segment_bytes=4096,
    )

    async def write() -> None:
        journal = open_journal(service=SERVICE, settings=settings, redis=None)
        await journal.start()
        for number in range(40):
            await journal.record(
                AuditEvent(
                    event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS, trace_id=str(number)
                )
            )
        await journal.stop()

    asyncio.run(write())
    return settings.audit_dir


@pytest.fixture
def settings(tmp_path, checkpoint_pem, chain_key_file, monkeypatch):
    monkeypatch.setenv("SECURITY_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("SECURITY_AUDIT_CHAIN_KEY_FILE", str(chain_key_file))
    monkeypatch.setenv("SECURITY_AUDIT_CHECKPOINT_KEY_FILE", str(checkpoint_pem))
    return SecuritySettings()


@pytest.fixture
def journal_files(written_once, settings):
    shutil.copytree(written_once, settings.audit_dir)
    slot = settings.audit_dir / SERVICE / "0"
    files = sorted(slot.glob("security_audit.0*.log"))
    assert len(files) > 3
    return [*files, slot / "security_audit.log"]


def verify(capsys, *arguments: str) -> tuple[int, dict]:
    with pytest.raises(SystemExit) as exit_info:
        run("audit", "verify", "--json", *arguments)
    return exit_info.value.code or 0, json.loads(capsys.readouterr().out or "{}")


def run(*arguments: str) -> None:
    app(arguments, result_action="return_value")


def edit_first_line(lines):
    lines[0] = lines[0].replace(b"success", b"refused", 1)


def edit_middle_line(lines):
    lines[1] = lines[1].replace(b'"trace_id":"', b'"trace_id":"9', 1)


def delete_line(lines):
    del lines[1]


def delete_first_line(lines):
    del lines[0]


def swap_lines(lines):
    lines[1], lines[2] = lines[2], lines[1]


def duplicate_line(lines):
    lines.insert(1, lines[1])


def cut_a_line_short(lines):
    lines[1] = lines[1][:-20] + b"\n"


def empty_line(lines):
    lines.insert(1, b"\n")


def garbage(lines):
    lines.insert(1, b'{"seq":1}\n')


def change_type_of_seq(lines):
    lines[1] = re.sub(rb'"seq":([0-9]+)', rb'"seq":"\1"', lines[1])


CHANGES = [
    edit_first_line,
    edit_middle_line,
    delete_line,
    delete_first_line,
    swap_lines,
    duplicate_line,
    cut_a_line_short,
    change_type_of_seq,
    empty_line,
    garbage,
]


async def test_an_untouched_journal_is_intact(journal_files, capsys):
    status, verdict = verify(capsys)
    assert (status, verdict["intact"], verdict["lines"]) == (0, True, 41)
    assert verdict["checkpoints"] == 1


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", [0, 2, -1])
async def test_a_change_is_reported_with_its_file(journal_files, capsys, change, place):
    path = journal_files[place]
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))
    status, verdict = verify(capsys)
    assert status == 1
    assert verdict["findings"][0]["path"] == str(path)


@pytest.mark.parametrize("bytes_cut", [1, 300, 1500])
async def test_removed_last_lines_are_found_by_the_checkpoint(journal_files, capsys, bytes_cut):
    live = journal_files[-1].read_bytes()
    journal_files[-1].write_bytes(live[:-bytes_cut] if bytes_cut < len(live) else b"")
    status, verdict = verify(capsys)
    assert status == 1
    assert "a checkpoint of" in verdict["findings"][0]["problem"]


@pytest.mark.parametrize("place", [0, 1, -1])
async def test_a_missing_segment_is_found(journal_files, capsys, place):
    journal_files[place].unlink()
    assert verify(capsys)[0] == 1


async def test_a_missing_journal_is_found(journal_files, capsys):
    for path in journal_files:
        path.unlink()
    status, verdict = verify(capsys)
    assert status == 1
    assert "ends at seq 0" in verdict["findings"][0]["problem"]


async def test_a_forged_checkpoint_is_found(journal_files, capsys):
    path = journal_files[0].parent / "checkpoints.jws"
    header, _, signature = path.read_text().strip().split(".")
    forged = base64.urlsafe_b64encode(b'{"digest":"x","journal_id":"x","seq":1,"service":"tests","time":"x"}')
    path.write_text(f"{header}.{forged.decode().rstrip('=')}.{signature}\n")
    status, verdict = verify(capsys)
    assert status == 1
    assert "not signed" in verdict["findings"][0]["problem"]


@pytest.mark.parametrize("signed", [True, False], ids=["checkpoint names the key", "no checkpoint"])
async def test_another_chain_key_is_reported_as_a_wrong_key(journal_files, tmp_path, monkeypatch, capsys, signed):
    other = tmp_path / "other_key"
    other.write_bytes(base64.urlsafe_b64encode(b"x" * 32))
    monkeypatch.setenv("SECURITY_AUDIT_CHAIN_KEY_FILE", str(other))
    if not signed:
        (journal_files[0].parent / "checkpoints.jws").unlink()
    status, verdict = verify(capsys)
    assert (status, verdict["findings"], verdict["lines"]) == (2, [], 41)
    assert "is not the key that journal" in verdict["unchecked"][0]


async def test_removed_last_lines_are_found_by_the_cursor_of_the_stream(redis, redis_server, settings, capsys):
    journal = open_journal(
        service=SERVICE, settings=settings.model_copy(update={"audit_checkpoint_key_file": None}), redis=redis
    )
    await journal.start()
    await journal.record(AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS))
    await journal.stop()
    live = settings.audit_dir / SERVICE / "0" / "security_audit.log"
    live.write_bytes(live.read_bytes().splitlines(keepends=True)[0])
    # The command has its own event loop, so it needs its own thread.
    status, verdict = await asyncio.to_thread(verify, capsys, "--redis", redis_server.url)
    assert status == 1
    assert "the stream has it through 2" in verdict["findings"][0]["problem"]


async def fill_segments(journal):
    for _ in range(30):
        await journal.record(AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS))


def recorded_removals(slot):
    """The numbers of the lines that record a removal."""
    lines = [json.loads(line) for path in slot.glob("*.log") for line in path.read_text().splitlines()]
    return {line["seq"] for line in lines if line["event_type"] == "journal_segment_removed"}


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not recorded"])
async def test_a_recorded_removal_from_an_idle_slot_is_not_tampering(redis, redis_server, settings, capsys, recorded):
    """The removal is recorded in the journal of another slot; a file that is removed without it is missing."""
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    running, stopping = (open_journal(service=SERVICE, settings=each, redis=redis) for each in (settings, small))
    for journal in (running, stopping):
        await journal.start()
    await fill_segments(stopping)
    await stopping.stop()
    closed = sorted((settings.audit_dir / SERVICE / "1").glob("security_audit.0*.log"))
    assert len(closed) > 1
    if recorded:
        await running.apply_retention(now=datetime.now(UTC) + timedelta(days=4000))
    else:
        for path in closed:
            path.unlink()
    await running.stop()
    assert not any(path.exists() for path in closed)
    status, verdict = await asyncio.to_thread(verify, capsys, "--redis", redis_server.url)
    assert status == (0 if recorded else 1), verdict
    assert recorded or "no removal is recorded" in verdict["findings"][0]["problem"]


async def test_a_removal_is_recorded_again_before_its_own_segment_is_removed(redis, redis_server, settings, capsys):
    """Otherwise a journal that ended long ago would seem to have lost its beginning, one retention period later."""
    small = settings.model_copy(update={"audit_segment_bytes": 4096})
    running, stopping = (open_journal(service=SERVICE, settings=small, redis=redis) for _ in range(2))
    for journal in (running, stopping):
        await journal.start()
    await fill_segments(stopping)
    await stopping.stop()
    far = datetime.now(UTC) + timedelta(days=4000)
    await running.apply_retention(now=far)
    first_recorded = recorded_removals(settings.audit_dir / SERVICE / "0")
    assert first_recorded
    await fill_segments(running)
    async with asyncio.timeout(30):
        while first_recorded & recorded_removals(settings.audit_dir / SERVICE / "0"):
            await running.apply_retention(now=far)
    await running.stop()
    status, verdict = await asyncio.to_thread(verify, capsys, "--redis", redis_server.url)
    assert status == 0, verdict


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "services with journals: none"),
        (("--public-key", "/nowhere/key.pem"), "/nowhere/key.pem"),
        (("--checkpoints", "/nowhere/checkpoints.jws"), "/nowhere"),
    ],
)
async def test_missing_inputs_are_errors(journal_files, settings, capsys, monkeypatch, arguments, message):
    if not arguments:
        shutil.rmtree(settings.audit_dir)
    monkeypatch.setattr("sys.argv", ["security-common", "audit", "verify", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    error, *hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert all(line.startswith("hint: ") for line in hint)


def bundle(path) -> None:
    now = datetime.now(UTC)
    run(
        *("audit", "bundle", str(path), "--since", (now - timedelta(hours=1)).isoformat()),
        *("--until", (now + timedelta(hours=1)).isoformat()),
    )


def check_offline(path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs the verifier of the bundle without our packages on its path."""
    with zipfile.ZipFile(path) as archive:
        program = archive.extract("verify.py", path.parent)
    command = [sys.executable, "-I", program, str(path), *arguments]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bool(checked.stderr) == (checked.returncode == 2)
    return checked


def rewrite(path, change) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("journals/"))
    lines = members[name].splitlines(keepends=True)
    change(lines)
    members[name] = b"".join(lines)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


async def test_a_bundle_is_verified_offline(journal_files, tmp_path):
    path = tmp_path / "bundle.zip"
    bundle(path)
    checked = check_offline(path)
    assert checked.returncode == 0, checked.stderr
    assert "seq 1 to 41, complete from the beginning of the journal" in checked.stdout


@pytest.mark.parametrize("change", [*CHANGES, lambda lines: lines.pop()])
async def test_a_changed_bundle_is_found_offline(journal_files, tmp_path, change):
    path = tmp_path / "bundle.zip"
    bundle(path)
    rewrite(path, change)
    assert check_offline(path).returncode == 1


async def test_a_bundle_is_not_verified_with_another_key(journal_files, tmp_path):
    path, other = tmp_path / "bundle.zip", tmp_path / "other.pem"
    bundle(path)
    public_key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    other.write_bytes(
        public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    checked = check_offline(path, "--key", str(other))
    assert checked.returncode == 2
    assert "was signed with the key" in checked.stderr


async def test_a_bundle_is_not_made_with_the_key_of_another_service(journal_files, tmp_path, monkeypatch):
    other = tmp_path / "other.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    other.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SECURITY_AUDIT_CHECKPOINT_KEY_FILE", str(other))
    with pytest.raises(CheckpointKeyInvalid, match="were signed with the key"):
        bundle(tmp_path / "bundle.zip")


async def test_lines_after_the_last_checkpoint_are_counted(journal_files, settings, tmp_path):
    (journal_files[0].parent / "checkpoints.jws").unlink()
    path = tmp_path / "bundle.zip"
    bundle(path)
    checked = check_offline(path)
    assert checked.returncode == 3
    assert "41 without a checkpoint" in checked.stdout


def test_an_invalid_file_is_not_a_bundle(tmp_path, settings):
    from security_common.audit.reading import bundle_verifier

    path = tmp_path / "no.zip"
    path.write_bytes(b"garbage")
    verified = subprocess.run([sys.executable, bundle_verifier.__file__, str(path)], capture_output=True, check=False)
    assert verified.returncode == 2
