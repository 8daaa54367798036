"""Services with two workers: one address, two journals, and no request that fails when a worker is replaced."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from local_stack.demo_scenario import ServicesApi, mcp_request
from local_stack.ports import free_ports
from local_stack.stack import AUTH, GATEWAY, MCP, Stack, start_stack

CLIENTS = 4
PAUSE_SECONDS = 0.005
"""Of each client after a request, so that the workers that start get their share of the processors."""
PREFIXES = {AUTH: "auth", MCP: "mcp"}
UPSTREAMS = Path(__file__).resolve().parents[2] / "deploy/gateway/mcp.json"


@dataclass
class Service:
    """A service with two workers, as a process and by its metrics."""

    stack: Stack
    name: str
    metrics_url: str
    prefix: str

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        supervisor = self.stack.children[self.name].pid
        return [int(process) for process, parent in map(str.split, listed) if int(parent) == supervisor]

    def metric(self, name: str, labels: str = "") -> list[float]:
        """The values of a metric, by worker where it has this label. Empty if it has no samples."""
        text = httpx2.get(self.metrics_url, timeout=20).text
        samples = re.compile(rf"^{self.prefix}_{name}{labels} (\S+)$", re.MULTILINE)
        return [float(value) for value in samples.findall(text)]

    def await_workers(self, is_expected: Callable[[list[int]], bool]) -> None:
        """Returns when two workers accept connections and their process ids are as expected."""
        deadline = time.monotonic() + 120
        while not (self.metric("workers") == [2] and is_expected(self.workers())):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    ports = dict(zip(PREFIXES, free_ports(2), strict=True))
    declaration = tmp_path_factory.mktemp("declaration") / "auth.yaml"
    declaration.write_text("clients: []")
    settings = {"AUTH_CONFIG": str(declaration), "AUTH_DRAIN_SECONDS": "1", "MCP_REQUESTS_PER_MINUTE": "1000000"}
    for name, port in ports.items():
        prefix = PREFIXES[name].upper()
        settings |= {f"{prefix}_WORKERS": "2", f"{prefix}_METRICS_PORT": str(port)}
    with start_stack(tmp_path_factory.mktemp("stack"), overrides=settings) as stack:
        yield {
            name: Service(stack, name, f"http://localhost:{port}/metrics", PREFIXES[name])
            for name, port in ports.items()
        }
        for name in PREFIXES:  # the stack would kill them before the end of their drain
            stack.children[name].stop(60)


@pytest.fixture
def auth(services: dict[str, Service]) -> Service:
    """auth-service with two workers that accept connections."""
    services[AUTH].await_workers(lambda processes: len(processes) == 2)
    return services[AUTH]


@dataclass
class Load:
    """Clients that send one request after the other on connections that they keep open."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    refused: int = 0
    """Connections that were refused: nothing listens."""
    ends: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def await_answers(self, count: int) -> None:
        """Returns when so many further requests were answered."""
        deadline, wanted = time.monotonic() + 60, self.answered + count
        while self.answered < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def send(self, request: httpx2.Request) -> None:
        with httpx2.Client(timeout=60) as http:
            while not self.ends.wait(PAUSE_SECONDS):
                try:
                    response = http.send(request)
                    outcome = "" if response.status_code == 200 else f"status {response.status_code}: {response.text}"
                except httpx2.ConnectError:
                    with self.lock:
                        self.refused += 1
                    return
                except httpx2.TransportError as failure:
                    outcome = repr(failure)
                with self.lock:
                    self.answered += not outcome
                    self.failures += [outcome] if outcome else []


def request_to(service: Service) -> httpx2.Request:
    """A request that the service answers with 200."""
    stack = service.stack
    form = {"grant_type": "client_credentials", "client_id": "mcp-client", "client_secret": "secret"}
    if service.name == AUTH:
        return httpx2.Request("POST", f"{stack.auth_url}/oauth2/token", data=form)
    resource = stack.gateway_resource if service.name == GATEWAY else stack.resource
    token = httpx2.post(f"{stack.auth_url}/oauth2/token", data={**form, "resource": resource}).json()["access_token"]
    if service.name == MCP:
        return httpx2.Request("GET", f"{stack.mcp_url}/hello", headers={"Authorization": f"Bearer {token}"})
    call = {"name": "records_get_server_status", "arguments": {}}
    headers, body = mcp_request(token, "2026-07-28", "tools/call", call)
    return httpx2.Request("POST", resource, headers=headers, content=body)


@contextmanager
def load(service: Service) -> Iterator[Load]:
    """Clients that send requests to the service while the block runs, and at the latest until it refuses one."""
    request = request_to(service)
    running = Load()
    clients = [threading.Thread(target=running.send, args=(request,)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        running.await_answers(20)
        yield running
    finally:
        running.ends.set()
        for client in clients:
            client.join()


@contextmanager
def restarted(service: Service) -> Iterator[None]:
    """Starts the service again after the block, which ends it, for the tests that follow."""
    yield
    service.stack.start_one(service.name)
    service.stack.wait_until_ready(service.name)


def test_each_worker_has_a_journal_and_its_own_metrics(auth: Service) -> None:
    """Requests go to both workers, and their counts add up."""
    issued = r'tokens_issued_total\{grant_type="client_credentials",worker="\d+"\}'
    before = sum(auth.metric(issued))
    requests = 0
    deadline = time.monotonic() + 60
    while min(auth.metric(issued)) == 0 or requests < 10:
        assert time.monotonic() < deadline
        with httpx2.Client(timeout=20) as http:  # a new connection, which either worker accepts
            ServicesApi(auth.stack.auth_url, auth.stack.mcp_url, http).client.token("mcp.access")
            requests += 1
    assert sum(auth.metric(issued)) - before == requests
    journals = list((auth.stack.audit_dir / AUTH).glob("[0-9]/security_audit.log"))
    assert len([journal for journal in journals if "token_issued" in journal.read_text()]) >= 2


@pytest.mark.parametrize("name", PREFIXES)
def test_readiness_reports_all_workers(services: dict[str, Service], name: str) -> None:
    services[name].await_workers(lambda processes: len(processes) == 2)
    readiness = httpx2.get(f"{services[name].stack.url_of(name)}/readyz", timeout=20)
    assert readiness.status_code == 200
    assert readiness.json()["checks"]["workers"] == {"ok": True, "note": ""}


def test_only_requests_in_progress_fail_when_a_worker_is_killed(auth: Service) -> None:
    first, second = auth.workers()
    failed_before = sum(auth.metric("worker_failures_total"))
    with load(auth) as requests:
        os.kill(first, signal.SIGKILL)
        auth.await_workers(lambda processes: first not in processes and second in processes)
        requests.await_answers(20)
    assert len(requests.failures) <= CLIENTS, "each client has one request in progress"
    assert requests.refused == 0
    assert sum(auth.metric("worker_failures_total")) == failed_before + 1


@pytest.mark.parametrize("name", [AUTH, pytest.param(MCP, marks=pytest.mark.ops)])
def test_no_request_fails_when_all_workers_are_replaced(services: dict[str, Service], name: str) -> None:
    replace_workers(services[name])


def replace_workers(service: Service) -> None:
    """Replaces the workers under load. No request may fail."""
    service.await_workers(lambda processes: len(processes) == 2)
    before = set(service.workers())
    with load(service) as requests:
        os.kill(service.stack.children[service.name].pid, signal.SIGHUP)
        service.await_workers(lambda processes: len(processes) == 2 and not before & set(processes))
        requests.await_answers(20)
    assert (requests.failures, requests.refused) == ([], 0)


def test_replaced_workers_read_files_again_and_a_wrong_file_replaces_none(auth: Service) -> None:
    declaration = Path(auth.stack.overrides["AUTH_CONFIG"])
    supervisor, before = auth.stack.children[AUTH], set(auth.workers())
    declaration.write_text("clients: nothing")
    os.kill(supervisor.pid, signal.SIGHUP)
    deadline = time.monotonic() + 60
    while "workers_not_replaced" not in supervisor.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    auth.await_workers(lambda processes: set(processes) == before)

    (declaration.parent / "secret").write_text("a secret of 32 characters or more")
    declaration.write_text("clients: [{client_id: new, secret_file: secret, scopes: [mcp.access]}]")
    os.kill(supervisor.pid, signal.SIGHUP)
    auth.await_workers(lambda processes: len(processes) == 2 and not before & set(processes))
    with httpx2.Client(timeout=20) as http:
        new = ServicesApi(auth.stack.auth_url, auth.stack.mcp_url, http, ("new", "a secret of 32 characters or more"))
        assert new.client.token("mcp.access")


@pytest.mark.ops
def test_no_call_through_the_gateway_fails_when_its_workers_are_replaced(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = {
        "GATEWAY_UPSTREAMS": str(UPSTREAMS),
        "GATEWAY_WORKERS": "2",
        "GATEWAY_METRICS_PORT": str(port),
        "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
        "MCP_REQUESTS_PER_MINUTE": "1000000",
    }
    with start_stack(tmp_path, overrides=settings) as stack:
        gateway = Service(stack, GATEWAY, f"http://localhost:{port}/metrics", "gateway")
        replace_workers(gateway)
        stack.children[GATEWAY].stop(60)


def test_no_accepted_request_fails_when_the_service_stops(auth: Service) -> None:
    with load(auth) as requests, restarted(auth):
        os.kill(auth.stack.children[AUTH].pid, signal.SIGTERM)
        requests.await_answers(1)
        assert auth.stack.children[AUTH]._process.wait(60) == -signal.SIGTERM
    assert requests.failures == []


def test_a_killed_supervisor_leaves_no_worker(auth: Service) -> None:
    workers = auth.workers()
    with restarted(auth):
        auth.stack.children[AUTH].kill()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_start_that_fails_is_reported_once(services: dict[str, Service], tmp_path: Path) -> None:
    stack = services[AUTH].stack
    (tmp_path / "auth.yaml").write_text("clients: nothing")
    settings = {"AUTH_CONFIG": str(tmp_path / "auth.yaml"), "AUTH_PORT": "0", "AUTH_METRICS_PORT": "0"}
    program = Path(stack.children[AUTH]._process.args[0])
    started = subprocess.run(
        [program, "serve"],
        env={**stack.environment(AUTH), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert started.returncode == 1
    assert started.stderr.count("error: ") == 1, started.stderr
    assert "hint: " in started.stderr
