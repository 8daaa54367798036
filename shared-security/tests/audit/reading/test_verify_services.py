"""`audit verify` with several services and replicas that share one stream and have their own keys."""

import asyncio
import json
import shutil
from base64 import urlsafe_b64encode

import pytest
from redis.asyncio import Redis

from security_common.audit import AuditEvent, Outcome, open_journal
from security_common.audit.chain_key import read_or_create_chain_key
from security_common.audit.checkpoints import CHECKPOINTS_KEY, CHECKPOINTS_NAME
from security_common.audit.stream_shipping import CURSORS_KEY
from security_common.cli import app
from security_common.cli.audit_source import ServiceUnknown, service_keys
from security_common.cli.setup import make_secrets
from security_common.settings import SecuritySettings

pytestmark = pytest.mark.anyio

AUTH, MCP = "auth-service", "mcp-resource-service"
EVENTS = 5


@pytest.fixture(scope="session")
def made_keys(tmp_path_factory):
    """The secrets of one installation, as `setup` makes them."""
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


@pytest.fixture(scope="session")
def other_keys(tmp_path_factory):
    """The secrets of another installation."""
    folder = tmp_path_factory.mktemp("other")
    make_secrets(folder)
    return folder


@pytest.fixture
def keys(made_keys):
    return made_keys


@pytest.fixture
def write(redis_server, keys, tmp_path):
    """Writes some events like a process of a service, below a directory, and stops."""

    async def write_events(service: str, *, folder: str = "audit", secrets=keys) -> SecuritySettings:
        own = secrets / service.partition("-")[0]
        settings = SecuritySettings(
            audit_dir=tmp_path / folder,
            audit_chain_key_file=own / "audit_chain_key",
            audit_checkpoint_key_file=own / "audit_checkpoint_key.pem",
        )
        async with Redis.from_url(redis_server.url) as client:
            journal = open_journal(service=service, settings=settings, redis=client)
            await journal.start()
            for _ in range(EVENTS):
                await journal.record(
                    AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS)
                )
            await journal.stop()
        return settings

    return write_events


@pytest.fixture
def verify(redis, redis_server, capsys, monkeypatch):
    """Runs the command with the environment of a service, on a thread because it has its own event loop."""

    async def run(settings: SecuritySettings, *arguments: str) -> tuple[int, dict]:
        monkeypatch.setenv("SECURITY_AUDIT_DIR", str(settings.audit_dir))
        monkeypatch.setenv("SECURITY_AUDIT_CHAIN_KEY_FILE", str(settings.audit_chain_key_file))
        monkeypatch.setenv("SECURITY_AUDIT_CHECKPOINT_KEY_FILE", str(settings.audit_checkpoint_key_file))

        def command() -> int:
            words = ["audit", "verify", "--json", "--redis", redis_server.url, *arguments]
            with pytest.raises(SystemExit) as exit_info:
                app(words, result_action="return_value")
            return int(exit_info.value.code or 0)

        status = await asyncio.to_thread(command)
        return status, json.loads(capsys.readouterr().out)

    return run


async def test_all_services_are_verified_together_with_their_own_keys(write, verify, keys):
    settings = await write(AUTH)
    await write(MCP)
    status, verdict = await verify(settings, "--keys", str(keys))
    assert (status, verdict["findings"], verdict["unchecked"], verdict["notes"]) == (0, [], [], [])
    assert {name: each["checkpoints"] for name, each in verdict["services"].items()} == {AUTH: 1, MCP: 1}


async def test_the_journal_of_a_library_user_is_verified_with_the_key_beside_it(write, verify, keys):
    """As `secure_tool` records in a script, with the settings of `local-stack env`."""
    settings = await write(AUTH)
    alone = SecuritySettings(audit_dir=settings.audit_dir)
    journal = open_journal(service="security-common", settings=alone, redis=None)
    await journal.start()
    await journal.record(AuditEvent(event_type="tool_call", action_taken="executed", outcome=Outcome.SUCCESS))
    await journal.stop()
    status, verdict = await verify(settings, "--keys", str(keys))
    assert (status, verdict["findings"], verdict["unchecked"]) == (0, [], [])
    assert set(verdict["services"]) == {AUTH, "security-common"}
    assert "security-common: without a checkpoint key" in verdict["notes"][0]


@pytest.mark.parametrize(("service", "folder"), [("billing-service", ""), ("security-common", "missing")])
async def test_a_directory_without_the_keys_is_an_error(keys, tmp_path, service, folder):
    """Also if there is a key beside the journal: to use it would verify less than was requested."""
    settings = SecuritySettings(audit_dir=tmp_path)
    read_or_create_chain_key(settings, service=service)
    with pytest.raises(ServiceUnknown, match=f"has no keys of {service}"):
        service_keys(settings, service, directory=keys / folder, public_keys=[])


async def test_a_service_is_verified_with_its_own_keys_and_the_shared_stream(write, verify):
    """As in a container: its own journals and keys, and the stream of all services."""
    settings = await write(AUTH, folder="auth")
    await write(MCP, folder="mcp")
    status, verdict = await verify(settings)
    assert (status, verdict["findings"], verdict["unchecked"]) == (0, [], [])
    assert verdict["checkpoints"] == 1
    assert verdict["notes"] == [f"1 checkpoints of {MCP} were not checked with the key of {AUTH}"]


async def test_a_replica_with_its_own_disk_is_intact(write, verify):
    settings = await write(AUTH, folder="one")
    await write(AUTH, folder="other")
    status, verdict = await verify(settings)
    assert (status, verdict["findings"], verdict["unchecked"]) == (0, [], [])
    (note,) = verdict["notes"]
    assert "its checkpoints agree with the stream" in note


async def test_a_replica_whose_lines_are_not_in_the_stream_is_missing(write, verify, redis):
    settings = await write(AUTH, folder="one")
    await write(AUTH, folder="other")
    (gone,) = {name for name in await redis.hkeys(CURSORS_KEY) if name.decode() not in _journals(settings)}
    await redis.hset(CURSORS_KEY, gone, 2)
    status, verdict = await verify(settings)
    assert status == 1
    (finding,) = verdict["findings"]
    assert f"journal {gone.decode()} is not here and its stream ends at seq 2" in finding["problem"]


async def test_a_replica_with_its_own_keys_is_noted(write, verify, other_keys):
    settings = await write(AUTH, folder="one")
    await write(AUTH, folder="other", secrets=other_keys)
    status, verdict = await verify(settings)
    assert (status, verdict["findings"], verdict["unchecked"]) == (0, [], [])
    (note,) = verdict["notes"]
    assert "its checkpoints were signed with another key" in note


async def test_a_wrong_chain_key_is_not_reported_as_tampering(write, verify, other_keys):
    settings = await write(AUTH)
    wrong = settings.model_copy(update={"audit_chain_key_file": other_keys / "auth" / "audit_chain_key"})
    status, verdict = await verify(wrong)
    assert (status, verdict["intact"], verdict["findings"]) == (2, False, [])
    (problem,) = verdict["unchecked"]
    assert "is not the key that journal" in problem


async def test_a_wrong_chain_key_does_not_hide_tampering(write, verify, other_keys):
    settings = await write(AUTH)
    log = settings.audit_dir / AUTH / "0" / "security_audit.log"
    lines = log.read_bytes().splitlines(keepends=True)
    del lines[2]
    log.write_bytes(b"".join(lines))
    wrong = settings.model_copy(update={"audit_chain_key_file": other_keys / "auth" / "audit_chain_key"})
    status, verdict = await verify(wrong)
    assert status == 1
    assert "lines are missing" in verdict["findings"][0]["problem"]


async def test_lines_sealed_with_another_key_are_not_intact(write, verify, other_keys):
    """An attacker without the key can rewrite everything; a signed checkpoint names the key that was used."""
    settings = await write(AUTH)
    slot = settings.audit_dir / AUTH / "0"
    checkpoints = (slot / "checkpoints.jws").read_bytes()
    shutil.rmtree(settings.audit_dir)
    await write(AUTH, secrets=other_keys)
    (slot / "checkpoints.jws").write_bytes(checkpoints)
    status, verdict = await verify(settings)
    assert status == 1
    assert "ends at seq 0" in verdict["findings"][0]["problem"]


async def test_a_wrong_checkpoint_key_is_not_reported_as_tampering(write, verify, other_keys):
    settings = await write(AUTH)
    other = other_keys / "auth" / "audit_checkpoint_key.pem"
    status, verdict = await verify(settings, "--public-key", str(other))
    assert (status, verdict["findings"]) == (2, [])
    (problem,) = verdict["unchecked"]
    assert "2 checkpoints of journal" in problem
    assert "not with the given key" in problem


async def test_a_former_checkpoint_key_can_be_given_too(write, verify, other_keys):
    settings = await write(AUTH)
    now = other_keys / "auth" / "audit_checkpoint_key.pem"
    changed = settings.model_copy(update={"audit_checkpoint_key_file": now})
    before = str(settings.audit_checkpoint_key_file)
    assert (await verify(changed))[0] == 2
    status, verdict = await verify(changed, "--public-key", str(now), "--public-key", before)
    assert (status, verdict["checkpoints"]) == (0, 1)


async def test_the_key_of_another_service_is_a_wrong_key(write, verify):
    """Both journals are below one directory, and only the keys of one service are given."""
    settings = await write(AUTH)
    await write(MCP)
    status, verdict = await verify(settings)
    assert (status, verdict["findings"]) == (2, [])
    assert verdict["services"][AUTH]["intact"]
    assert all(problem.startswith(f"{MCP}: ") for problem in verdict["unchecked"])


@pytest.mark.parametrize("claimed", [[], None, "x", {"service": []}, {"journal_id": []}, {"seq": "x"}], ids=str)
async def test_an_invalid_checkpoint_is_a_problem(write, verify, redis, claimed):
    """The Redis user of every service can write to the stream, and verification must not end with an exception."""
    settings = await write(MCP)
    usual = {"journal_id": "j", "service": MCP, "seq": 1, "digest": "d", "time": "t"}
    members = usual | claimed if isinstance(claimed, dict) else claimed
    header = {"alg": "RS256", "typ": "audit-checkpoint+jwt", "kid": "k"}
    forged = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, members))
    await redis.xadd(CHECKPOINTS_KEY, {"checkpoint": f"{forged}.AA"})
    status, verdict = await verify(settings)
    assert status != 0
    assert "this is not a checkpoint" in str(verdict["findings"])


async def test_unreadable_entries_are_a_problem_and_not_an_exception(write, verify, redis):
    settings = await write(MCP)
    await redis.xadd(CHECKPOINTS_KEY, {b"checkpoint": b"\xff\xfe"})
    await redis.hset(CURSORS_KEY, b"\xff", "x")
    status, verdict = await verify(settings)
    assert status != 0
    assert "this is not a checkpoint" in str(verdict["findings"])


async def test_the_checkpoints_of_another_service_in_a_file_are_a_problem(write, verify, keys):
    settings = await write(AUTH)
    await write(MCP)
    own, other = (settings.audit_dir / service / "0" / CHECKPOINTS_NAME for service in (AUTH, MCP))
    own.write_bytes(other.read_bytes())
    status, verdict = await verify(settings, "--keys", str(keys))
    assert status != 0
    assert f"this checkpoint is one of {MCP}" in str(verdict["findings"])


@pytest.mark.parametrize("members", [{"seq": "x"}, {"journal_id": []}], ids=str)
async def test_a_first_line_with_wrong_types_is_a_problem(write, verify, members):
    settings = await write(MCP)
    (journal,) = settings.audit_dir.rglob("security_audit.log")
    first, rest = journal.read_text().split("\n", 1)
    journal.write_text(json.dumps(json.loads(first) | members) + "\n" + rest)
    status, verdict = await verify(settings)
    assert status != 0
    assert "the line was changed" in str(verdict["findings"])


async def test_verify_creates_no_key(write, verify, monkeypatch):
    settings = await write(AUTH)
    await verify(settings)
    monkeypatch.delenv("SECURITY_AUDIT_CHAIN_KEY_FILE")
    unset = SecuritySettings()
    assert unset.audit_chain_key_file is None
    with pytest.raises(SystemExit) as exit_info:
        await asyncio.to_thread(app, ["audit", "verify"], result_action="return_value")
    assert exit_info.value.code == 2
    assert not (settings.audit_dir / AUTH / "chain_key").exists()


async def test_a_start_with_another_chain_key_does_not_change_the_old_journal(write, verify, tmp_path, other_keys):
    """A new key starts a new journal; the old lines are not treated as an incomplete tail."""
    settings = await write(AUTH)
    slot = settings.audit_dir / AUTH / "0"
    before = (slot / "security_audit.log").read_bytes()
    await write(AUTH, secrets=other_keys)
    assert (slot / "security_audit.00000001.log").read_bytes() == before
    assert not list(slot.glob("*.torn"))
    opened = json.loads((slot / "security_audit.log").read_bytes().splitlines()[0])
    assert opened["action_taken"] == "succeeded"
    status, verdict = await verify(settings)
    assert (status, verdict["findings"]) == (2, [])


def _journals(settings: SecuritySettings) -> set[str]:
    lines = (line for log in settings.audit_dir.rglob("*.log") for line in log.read_text().splitlines())
    return {json.loads(line)["journal_id"] for line in lines}
