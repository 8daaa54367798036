"""All secret files are read in the same way, and unusable files are reported."""

import codecs
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from security_common.audit.chain_key import read_chain_key_file
from security_common.audit.checkpoints import load_checkpoint_key
from security_common.cli.setup import make_secrets
from security_common.encryption import EncryptionKeyMissing, EncryptionService, KeyringFile
from security_common.errors import SecurityError
from security_common.secret_files import SecretMissing, find_exposed_secrets, read_secret_file
from security_common.service import ServiceSettings, connect_redis
from security_common.settings import SecuritySettings
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

Rewrite = Callable[[bytes], bytes]

REWRITTEN: dict[str, Rewrite] = {
    "byte order mark": lambda text: codecs.BOM_UTF8 + text,
    "CR LF": lambda text: text.replace(b"\n", b"\r\n"),
    "no final newline": lambda text: text.rstrip(b"\n"),
    "all of an editor on Windows": lambda text: codecs.BOM_UTF8 + text.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n",
}

# How each kind of secret is read, to something that is equal for equal secrets.
KINDS: dict[str, Callable[[Path], object]] = {
    "auth/signing_key_kek": lambda path: EncryptionService(KeyringFile(path)).key_states(),
    "mcp/data_keyring": lambda path: EncryptionService(KeyringFile(path)).key_states(),
    "mcp/audit_chain_key": read_chain_key_file,
    "mcp/audit_checkpoint_key.pem": lambda path: load_checkpoint_key(path).thumbprint(),
    "mcp/pseudonym_key": lambda path: KeyedPseudonyms(path).key_id,
    "mcp/cookie_key": read_secret_file,
    "mcp/redis_password": lambda path: connect_redis(
        ServiceSettings(redis_password_file=path)
    ).connection_pool.connection_kwargs["password"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    make_secrets(directory)
    return directory


@pytest.mark.parametrize("rewrite", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize("name", KINDS)
def test_a_secret_does_not_depend_on_how_its_file_was_written(
    made: Path, tmp_path: Path, name: str, rewrite: Rewrite
) -> None:
    rewritten = tmp_path / "secret"
    rewritten.write_bytes(rewrite((made / name).read_bytes()))
    assert KINDS[name](rewritten) == KINDS[name](made / name)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (codecs.BOM_UTF8 + b"\r\n", "is empty"),
        (secrets.token_bytes(32) + b"\xff", "is not UTF-8 text"),
        ("secret".encode("utf-16-le"), "is not UTF-8 text"),
        (b"a" * 300_000, "is larger than 256 KiB"),
        (None, "cannot be read: Is a directory"),
    ],
    ids=["empty", "only white space", "raw bytes", "UTF-16", "too large", "a folder"],
)
@pytest.mark.parametrize("name", KINDS)
def test_an_unusable_file_is_reported_by_name(tmp_path: Path, name: str, content: bytes | None, problem: str) -> None:
    path = tmp_path / "secret"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SecurityError) as caught:
        KINDS[name](path)
    assert str(path) in caught.value.description
    assert problem in caught.value.description
    assert caught.value.hint


@pytest.mark.parametrize("name", KINDS)
def test_a_missing_file_is_reported_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecurityError) as caught:
        KINDS[name](tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in caught.value.description
    assert caught.value.hint


def test_the_setting_is_reported_as_well(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match=r"MCP_COOKIE_KEY_FILE: .*cannot be read: No such file"):
        read_secret_file(tmp_path / "nowhere", setting="MCP_COOKIE_KEY_FILE")


def test_white_space_inside_a_secret_is_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("  four words, one\ttab \n")
    assert read_secret_file(tmp_path / "secret") == "four words, one\ttab"


def test_a_python_traceback_shows_the_hint() -> None:
    error = EncryptionKeyMissing("no encryption key is configured", hint="run this")
    assert str(error) == "no encryption key is configured\nhint: run this"


@pytest.mark.parametrize(
    ("mode", "who"), [(0o600, None), (0o400, None), (0o640, "its group"), (0o440, "its group"), (0o644, "everybody")]
)
def test_a_secret_that_others_can_read_is_reported_and_used(
    made: Path, tmp_path: Path, mode: int, who: str | None
) -> None:
    path = tmp_path / "secret"
    path.write_bytes((made / "mcp/pseudonym_key").read_bytes())
    path.chmod(mode)
    security = SecuritySettings(pseudonym_key_file=path)
    found = list(find_exposed_secrets(ServiceSettings(security=security)))
    assert [(each.setting, each.path, each.who) for each in found] == (
        [("SECURITY_PSEUDONYM_KEY_FILE", path, who)] if who else []
    )
    assert KeyedPseudonyms(path).key_id
