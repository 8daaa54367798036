"""Archives of backups: what they contain of files that are being written, and which ones are refused."""

import gzip
import io
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from security_common.backup import BackupInvalid, read_backup, restore_backup, write_backup
from security_common.backup.copied_files import AppendOnlyFileMissing, redis_files

MANIFEST = b"""file appendonly.aof.2.base.rdb seq 2 type b
file appendonly.aof.1.incr.aof seq 1 type h
file appendonly.aof.2.incr.aof seq 2 type i
"""


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """The three folders of a service, as they are while it runs."""
    given = {part: tmp_path / part for part in ("redis", "audit", "secrets")}
    contents = {
        "redis/appendonlydir/appendonly.aof.manifest": MANIFEST,
        "redis/appendonlydir/appendonly.aof.1.incr.aof": b"replaced by a rewrite",
        "redis/appendonlydir/appendonly.aof.2.base.rdb": b"base",
        "redis/appendonlydir/appendonly.aof.2.incr.aof": b"commands",
        "redis/redis.log": b"a log",
        "audit/auth-service/redis_identity": b"id\n",
        "audit/auth-service/0/lock": b"",
        "audit/auth-service/0/checkpoints.jws": b"one\ntwo\nthr",
        "audit/auth-service/0/security_audit.00000001.log": b"1\n2\n",
        "audit/auth-service/0/security_audit.00000001.torn": b"not complete",
        "audit/auth-service/0/security_audit.log": b"3\n4\n5 is being writ",
        "audit/auth-service/index/events.00000001.sqlite3": b"a database that is in use",
        "secrets/auth/cookie_key": b"key\n",
        "secrets/redis/users.acl": b"user default off\n",
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    (tmp_path / "secrets/redis/users.acl").chmod(0o644)
    (tmp_path / "audit/auth-service/chain_key").symlink_to("/etc/hostname")
    return given


def written(folders: dict[str, Path]) -> bytes:
    target = io.BytesIO()
    write_backup(target, folders)
    return target.getvalue()


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_restored_is_what_was_complete(folders: dict[str, Path], tmp_path: Path):
    archive = written(folders)
    assert read_backup(io.BytesIO(archive)).parts == set(folders)
    restored = {part: tmp_path / "restored" / part for part in folders}
    restore_backup(io.BytesIO(archive), restored)
    assert content_of(tmp_path / "restored") == {
        "redis/appendonlydir/appendonly.aof.manifest": MANIFEST,
        "redis/appendonlydir/appendonly.aof.2.base.rdb": b"base",
        "redis/appendonlydir/appendonly.aof.2.incr.aof": b"commands",
        "audit/auth-service/redis_identity": b"id\n",
        "audit/auth-service/0/checkpoints.jws": b"one\ntwo\n",
        "audit/auth-service/0/security_audit.00000001.log": b"1\n2\n",
        "audit/auth-service/0/security_audit.00000001.torn": b"not complete",
        "audit/auth-service/0/security_audit.log": b"3\n4\n",
        "secrets/auth/cookie_key": b"key\n",
        "secrets/redis/users.acl": b"user default off\n",
    }


def test_restored_secrets_have_their_modes(folders: dict[str, Path], tmp_path: Path):
    restore_backup(io.BytesIO(written(folders)), {"secrets": tmp_path / "restored"})
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "restored").rglob("*")
    }
    assert modes == {
        "restored/auth": 0o700,
        "restored/auth/cookie_key": 0o600,
        "restored/redis": 0o755,
        "restored/redis/users.acl": 0o644,
    }


def test_checkpoints_are_copied_before_the_lines_that_they_state(folders: dict[str, Path]):
    names = list(read_backup(io.BytesIO(written({"audit": folders["audit"]}))).digests)
    slot = [Path(name).name for name in names if "/0/" in name]
    assert slot[0] == "checkpoints.jws"


def test_a_file_that_grows_while_it_is_copied_is_cut_where_it_was(folders: dict[str, Path]):
    copied = iter(redis_files(folders["redis"]))
    first = next(copied)
    increment = folders["redis"] / "appendonlydir/appendonly.aof.2.incr.aof"
    with increment.open("ab") as file:
        file.write(b" and later ones")
    sizes = {file.name: file.size for file in [first, *copied]}
    assert sizes["appendonlydir/appendonly.aof.2.incr.aof"] == len(b"commands")


def test_files_that_a_rewrite_removes_meanwhile_are_copied(folders: dict[str, Path]):
    copied = iter(redis_files(folders["redis"]))
    next(copied)
    for path in (folders["redis"] / "appendonlydir").iterdir():
        path.unlink()
    contents = {file.name: file.source.read(file.size) for file in copied}
    assert contents["appendonlydir/appendonly.aof.2.incr.aof"] == b"commands"
    assert contents["appendonlydir/appendonly.aof.manifest"] == MANIFEST


def test_a_redis_without_an_append_only_file_is_refused(tmp_path: Path):
    with pytest.raises(AppendOnlyFileMissing, match="has no append-only file"):
        write_backup(io.BytesIO(), {"redis": tmp_path})


def test_only_an_empty_folder_is_restored_to(folders: dict[str, Path]):
    archive = written(folders)
    before = content_of(folders["audit"])
    with pytest.raises(BackupInvalid, match="is not empty"):
        restore_backup(io.BytesIO(archive), folders)
    assert content_of(folders["audit"]) == before


def test_parts_of_several_archives_become_one(folders: dict[str, Path], tmp_path: Path):
    """As in containers, where the data of Redis and the secrets belong to different users."""
    redis = io.BytesIO(written({"redis": folders.pop("redis")}))
    target = io.BytesIO()
    created = write_backup(target, folders, earlier=redis)
    target.seek(0)
    assert read_backup(target) == created
    assert created.parts == {"redis", "audit", "secrets"}
    target.seek(0)
    restore_backup(target, {"redis": tmp_path / "restored"})
    assert (tmp_path / "restored/appendonlydir/appendonly.aof.2.incr.aof").read_bytes() == b"commands"


def test_an_earlier_archive_must_be_complete(folders: dict[str, Path]):
    redis = written({"redis": folders.pop("redis")})
    with pytest.raises(BackupInvalid):
        write_backup(io.BytesIO(), folders, earlier=io.BytesIO(redis[:-200]))


def test_a_part_that_the_archive_lacks_is_refused(folders: dict[str, Path], tmp_path: Path):
    archive = written({"audit": folders["audit"]})
    with pytest.raises(BackupInvalid, match="has no redis and no secrets"):
        restore_backup(io.BytesIO(archive), {part: tmp_path / "restored" / part for part in folders})
    assert content_of(tmp_path / "restored") == {}


def test_a_damaged_archive_leaves_no_file_behind(folders: dict[str, Path], tmp_path: Path):
    archive = changed(written(folders), "secrets/auth/cookie_key", b"changed")
    with pytest.raises(BackupInvalid, match="secrets/auth/cookie_key is damaged"):
        restore_backup(io.BytesIO(archive), {part: tmp_path / "restored" / part for part in folders})
    assert content_of(tmp_path / "restored") == {}


def test_volumes_of_several_services_are_folders_of_one_part(folders: dict[str, Path], tmp_path: Path):
    """In containers each service has a volume for its journals; the mount points exist before the restore."""
    (tmp_path / "volumes").mkdir()
    folders["audit"].rename(tmp_path / "volumes/auth")
    target = io.BytesIO(written({"audit": tmp_path / "volumes"}))
    (tmp_path / "restored/auth").mkdir(parents=True)
    restore_backup(target, {"audit": tmp_path / "restored"})
    journal = tmp_path / "restored/auth/auth-service/0/security_audit.log"
    assert journal.read_bytes() == b"3\n4\n"


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.9])
def test_an_incomplete_archive_is_refused(folders: dict[str, Path], kept: float):
    archive = written(folders)
    with pytest.raises(BackupInvalid):
        read_backup(io.BytesIO(archive[: int(len(archive) * kept)]))


def members(archive: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            source = opened.extractfile(member)
            assert source is not None
            yield member, source.read()


def changed(archive: bytes, name: str, content: bytes) -> bytes:
    """The archive with other content of one file, or with one file more."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as opened:
        for member, present in [*members(archive), (tarfile.TarInfo(name), content)]:
            if member.name != name or present is content:
                member.size = len(present)
                opened.addfile(member, io.BytesIO(present))
    return target.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "secrets/auth/cookie_key",
        "secrets/auth/added",
        "../outside",
        "secrets/../../outside",
        "/etc/passwd",
        "secrets",
        "other/file",
        "secrets//auth",
    ],
)
def test_an_archive_with_other_files_is_refused(folders: dict[str, Path], name: str):
    with pytest.raises(BackupInvalid):
        read_backup(io.BytesIO(changed(written(folders), name, b"changed")))


def test_links_are_refused(folders: dict[str, Path]):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as opened:
        link = tarfile.TarInfo("secrets/link")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc"
        opened.addfile(link)
    with pytest.raises(BackupInvalid, match="does not belong in a backup"):
        read_backup(io.BytesIO(target.getvalue()))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"text", id="text"),
        pytest.param(gzip.compress(b"text"), id="compressed text"),
        pytest.param(bytes(range(256)) * 20, id="bytes"),
    ],
)
def test_what_is_not_an_archive_is_refused(content: bytes):
    with pytest.raises(BackupInvalid):
        read_backup(io.BytesIO(content))
