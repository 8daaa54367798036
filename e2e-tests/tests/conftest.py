"""One stack for the whole session: processes on free ports, or containers with `--compose`."""

import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml

from local_stack.compose import Compose
from local_stack.demo_scenario import ServicesApi
from local_stack.ports import free_ports
from local_stack.stack import start_stack

ROOT = Path(__file__).resolve().parents[2]

# The declared clients of the test company, with their scopes.
EMPLOYEES = {
    "support-agent": ["mcp.access", "mcp.decrypt"],
    "claims-agent": ["mcp.access", "mcp.decrypt"],
    "night-batch": ["mcp.access"],
    "auditor": ["mcp.access", "mcp.audit"],
}

# Settings that compose.yaml passes to the services without naming them.
GIVEN_TO_COMPOSE = {"MCP_ALLOWED_HOSTS": "host.docker.internal", "AUTH_DOCUMENTATION_URL": "https://docs.example.com/"}


@dataclass(frozen=True)
class Addresses:
    """Base URLs of the running services, without trailing slashes."""

    auth_url: str
    mcp_url: str


@dataclass(frozen=True)
class Company:
    """A declaration with its own secrets, created for this session."""

    folder: Path
    secrets: dict[str, str]

    @property
    def declaration(self) -> Path:
        return self.folder / "auth.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--compose", action="store_true", help="run the demo scenario against `docker compose up`")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a fresh clone that is already installed: the files of the repository without any state."""
    # Without this, `make run` in this folder would install into the environment that runs this test.
    up_to_date = subprocess.run(["make", "--question", ".venv/.run"], cwd=ROOT, check=False)
    assert up_to_date.returncode == 0, "the installation is older than requirements/: run `make .venv/.dev` first"
    folder = tmp_path_factory.mktemp("clone")
    for entry in ROOT.iterdir():
        if entry.name not in {".run", "logs", ".git"}:
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = Company(tmp_path_factory.mktemp("company"), {name: secrets.token_urlsafe(32) for name in EMPLOYEES})
    clients = [{"client_id": name, "secret_file": name, "scopes": scopes} for name, scopes in EMPLOYEES.items()]
    company.declaration.write_text(yaml.safe_dump({"clients": clients}))
    for name, secret in company.secrets.items():
        (company.folder / name).write_text(secret)
    company.folder.chmod(0o755)  # another user reads it in a container
    return company


@pytest.fixture(scope="session")
def compose(company: Company) -> Iterator[Compose]:
    """The containers, running with the declaration of the test company."""
    composed = Compose(*free_ports(3), declaration=company.folder, settings=GIVEN_TO_COMPOSE)
    try:
        composed("up", "--build", "--wait")
        yield composed
    finally:
        composed("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="session")
def addresses(
    request: pytest.FixtureRequest, company: Company, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    if request.config.getoption("--compose"):
        composed: Compose = request.getfixturevalue("compose")
        yield Addresses(composed.auth_url, composed.mcp_url)
        return
    with start_stack(tmp_path_factory.mktemp("stack"), overrides={"AUTH_CONFIG": str(company.declaration)}) as stack:
        yield Addresses(stack.auth_url, stack.mcp_url)


@pytest.fixture(scope="session")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def api(addresses: Addresses, http: httpx2.Client) -> ServicesApi:
    return ServicesApi(addresses.auth_url, addresses.mcp_url, http)


@pytest.fixture
def employee(company: Company, api: ServicesApi) -> Callable[[str], ServicesApi]:
    """A declared client of the test company, by its client id."""
    return lambda name: ServicesApi(api.auth_url, api.mcp_url, api.http, (name, company.secrets[name]))


@pytest.fixture
def sigint_not_ignored() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored, and child processes inherit that."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)
