"""`security-common setup`: creates the secrets that do not exist yet, in one folder for each reader."""

import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cyclopts import App
from joserfc.jwk import ECKey, import_key

from security_common.encryption import Keyring
from security_common.private_files import replace_file, write_once
from security_common.secret_files import read_secret_file

__all__ = ["app", "make_secrets"]

app = App(
    version_flags=[],
    help="""Create the secrets that do not exist yet. Existing files are not changed.

Example: security-common setup /var/lib/mcp-oauth2/secrets
""",
)

_RSA_BITS = 3072


@app.default
def setup(directory: Path) -> None:
    """Create missing secrets in DIRECTORY/auth, mcp, gateway and redis, and print the new files.

    Each folder is for one reader: mount it only there.

    Parameters
    ----------
    directory
        The parent folder of the four; it is created if it does not exist.

    """
    for path in make_secrets(directory):
        print(path)


def make_secrets(directory: Path) -> list[Path]:
    """Creates the secrets and returns the new files.

    The Redis ACL is written every time, since it contains only hashes of the passwords and follows their files.
    """
    auth, mcp, gateway, redis = (directory / reader for reader in ("auth", "mcp", "gateway", "redis"))
    made: list[Path] = []

    def make(path: Path, content: Callable[[], str]) -> None:
        if write_once(path, content):
            made.append(path)

    for folder in (auth, mcp):
        make(folder / "cookie_key", _random_key)
    for folder in (auth, mcp, gateway):
        make(folder / "redis_password", _random_key)
        make(folder / "audit_chain_key", _random_key)
        make(folder / "audit_checkpoint_key.pem", _rsa_private_pem)
    make(auth / "signing_key_kek", _keyring)
    make(auth / "secret_pepper", _random_key)
    for folder in (mcp, gateway):
        make(folder / "data_keyring", _keyring)
        make(folder / "pseudonym_key", _random_key)
    make(mcp / "audit_page_private_key.json", _private_jwk)
    make(auth / "audit_page_public_key.json", lambda: _public_jwk(mcp / "audit_page_private_key.json"))
    make(gateway / "client_key.json", _private_jwk)
    make(auth / "gateway_public_key.json", lambda: _public_jwk(gateway / "client_key.json"))
    make(redis / "health_password", _random_key)
    _write_acl(redis / "users.acl", directory)
    # Redis runs as another user and must read these files. They contain hashes, and a password that allows only PING.
    redis.chmod(0o755)
    for path in (redis / "health_password", redis / "users.acl"):
        path.chmod(0o644)
    return made


def _random_key() -> str:
    return secrets.token_urlsafe(32)


def _keyring() -> str:
    return Keyring.generate().dump().rstrip()


def _rsa_private_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().rstrip()


def _private_jwk() -> str:
    # A P-256 key loads at once, while OpenSSL validates an RSA key for 0.1 s at every start.
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)
    return json.dumps(key.as_dict(private=True))


def _public_jwk(private: Path) -> str:
    return json.dumps(import_key(json.loads(read_secret_file(private))).as_dict(private=False))


def _write_acl(path: Path, directory: Path) -> None:
    """The Redis users. Each service has access to its own keys, and all to the audit trail. No default user."""
    hashes = {
        user: hashlib.sha256(read_secret_file(directory / folder / name).encode()).hexdigest()
        for user, folder, name in (
            ("auth", "auth", "redis_password"),
            ("mcp", "mcp", "redis_password"),
            ("gw", "gateway", "redis_password"),
            ("health", "redis", "health_password"),
        )
    }
    # The ACL syntax of Redis: & channels, ~ keys, + and - commands or, with @, categories of commands.
    service = "&{0}:* ~{0}:* ~audit:* +@all -@admin -@dangerous +info +config|get +acl|whoami +waitaof"
    lines = [
        "user default off",
        f"user auth on #{hashes['auth']} {service.format('auth')}",
        f"user mcp on #{hashes['mcp']} {service.format('mcp')}",
        f"user gw on #{hashes['gw']} {service.format('gw')}",
        f"user health on #{hashes['health']} -@all +ping",
    ]
    replace_file(path, "\n".join(lines) + "\n", mode=0o644)
