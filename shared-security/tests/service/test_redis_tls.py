"""TLS to Redis: a private authority, a client certificate, and what is refused."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from redis.exceptions import ConnectionError as RedisConnectionError

from local_stack.addresses import LOOPBACK
from local_stack.redis_server import RedisServer
from security_common.service import connect_redis
from security_common.service.settings import ServiceSettings
from security_common.settings import SettingInvalid

pytestmark = pytest.mark.anyio


class Authority:
    """Issues certificates, whose files are in `directory`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self._sign(self._name, self._key, is_authority=True).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for the loopback address and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate_file, key_file = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        certificate_file.write_bytes(self._sign(subject, key, is_authority=False).public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate_file, key_file

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "company")


@pytest.fixture
async def tls_url(redis_server: RedisServer, authority: Authority) -> AsyncIterator[str]:
    """The embedded Redis, which has no TLS, behind a proxy that requires a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(*authority.issue("redis"))
    context.verify_mode = ssl.CERT_REQUIRED
    async with tls_proxy(context, urlsplit(redis_server.url).port or 0) as port:
        yield f"rediss://{LOOPBACK}:{port}/0"


@asynccontextmanager
async def tls_proxy(context: ssl.SSLContext, target_port: int) -> AsyncIterator[int]:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection(LOOPBACK, target_port)
        await asyncio.gather(copy(reader, target_writer), copy(target_reader, writer))

    server = await asyncio.start_server(serve, LOOPBACK, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_private_authority_and_a_client_certificate_are_used(tls_url: str, authority: Authority) -> None:
    certificate_file, key_file = authority.issue("auth-service")
    settings = ServiceSettings(
        redis_url=tls_url,
        redis_ca_file=authority.file,
        redis_client_certificate_file=certificate_file,
        redis_client_key_file=key_file,
    )
    async with connect_redis(settings) as redis:
        await redis.set("over tls", "yes")
        assert await redis.get("over tls") == "yes"


async def test_a_certificate_of_another_authority_is_refused(
    tls_url: str, authority: Authority, tmp_path: Path
) -> None:
    certificate_file, key_file = authority.issue("auth-service")
    settings = ServiceSettings(
        redis_url=tls_url,
        redis_ca_file=Authority(tmp_path, "another").file,
        redis_client_certificate_file=certificate_file,
        redis_client_key_file=key_file,
    )
    async with connect_redis(settings) as redis:
        with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await redis.ping()


async def test_a_client_without_a_certificate_is_refused(tls_url: str, authority: Authority) -> None:
    async with connect_redis(ServiceSettings(redis_url=tls_url, redis_ca_file=authority.file)) as redis:
        with pytest.raises(RedisConnectionError):
            await redis.ping()


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = ServiceSettings(redis_url=f"rediss://{LOOPBACK}:1/0", redis_ca_file=tmp_path / "missing.pem")
    with pytest.raises(SettingInvalid, match=r"REDIS_CA_FILE.*cannot be read"):
        connect_redis(settings)
