"""An HTTPS host on this machine that sends the responses of a test, valid or invalid, and counts the requests."""

import asyncio
import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auth_service.clients.ssrf_safe_fetch import SsrfSafeFetcher

HOST = "client.example"
Serve = Callable[[asyncio.StreamWriter], Any]


@dataclass
class Clock:
    """Seconds since the epoch, as a test sets them."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class DocumentHost:
    """`pages` maps a path to the bytes of a response, or to a coroutine that writes one.

    `tls` is for clients of this host, `server_tls` for another server with its certificate.
    """

    port: int
    tls: ssl.SSLContext
    server_tls: ssl.SSLContext
    pages: dict[str, bytes | Serve] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"https://{HOST}:{self.port}{path}"

    def publish(self, path: str, members: dict[str, Any], *headers: str) -> str:
        """Publishes a metadata document under its own address and returns that."""
        url = self.url(path)
        self.pages[path] = answer(json.dumps({"client_id": url, **members}).encode(), *headers)
        return url

    def fetcher(self, *, resolves_to: tuple[str, ...] = ("127.0.0.1",), allowed: str = "127.0.0.1") -> SsrfSafeFetcher:
        async def resolve(_host: str, _port: int) -> tuple[str, ...]:
            return resolves_to

        return SsrfSafeFetcher(resolve=resolve, is_allowed=lambda a: a == ip_address(allowed), tls=self.tls)


def offline_fetcher() -> SsrfSafeFetcher:
    """A fetcher on a machine without a network: no name is resolved."""

    async def resolve(_host: str, _port: int) -> tuple[str, ...]:
        raise OSError(socket.EAI_AGAIN, "there is no network")

    return SsrfSafeFetcher(resolve=resolve, is_allowed=lambda _: True)


def answer(body: bytes, *headers: str, status: str = "200 OK", media_type: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {media_type}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def serve_documents(directory: Path) -> Generator[DocumentHost]:
    """Runs the host in a thread of its own until the block ends."""
    ready = threading.Event()
    running: dict[str, Any] = {}

    async def run() -> None:
        server_tls, client_tls = _make_tls(directory)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            host.visits.append(path)
            page = host.pages.get(path, answer(b"{}", status="404 Not Found"))
            try:
                if isinstance(page, bytes):
                    writer.write(page)
                    await writer.drain()
                else:
                    await page(writer)
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls)
        host = DocumentHost(server.sockets[0].getsockname()[1], client_tls, server_tls)
        running.update(host=host, stop=asyncio.Event(), loop=asyncio.get_running_loop())
        ready.set()
        await running["stop"].wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="document-host")
    thread.start()
    ready.wait()
    yield running["host"]
    running["loop"].call_soon_threadsafe(running["stop"].set)
    thread.join()


def _make_tls(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    path = directory / "document_host.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())
