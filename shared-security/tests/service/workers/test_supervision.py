"""Rules of the supervisor: pauses before a restart, the number of workers, and the metrics of all workers."""

import os
import socket
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from security_common.service.available_cores import available_cores
from security_common.service.listening_socket import bind_socket, ignore_new_connections
from security_common.service.settings import ServiceSettings
from security_common.service.workers.supervisor import next_pause
from security_common.service.workers.worker import InheritedSockets
from security_common.service.workers.worker_metrics import WorkerCollector
from security_common.settings import SettingInvalid


def test_pauses_before_a_restart_grow_until_a_worker_lasts():
    pauses: list[float | None] = [None]
    for _ in range(8):
        pauses.append(next_pause(pauses[-1], ran_seconds=3.0))
    assert pauses == [None, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert next_pause(30.0, ran_seconds=60.0) == 0.0


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", None),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("1000000000 100000", None),
        ("0 0", None),
        ("", None),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path: Path, limit: str, cores: int | None):
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert available_cores(tmp_path) == (cores or available_cores(tmp_path / "without"))


def test_without_a_limit_the_cores_of_the_process_count(tmp_path: Path):
    assert available_cores(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("workers", [0, 65, "many"])
def test_the_number_of_workers_is_checked(workers: int | str):
    with pytest.raises(SettingInvalid):
        ServiceSettings(workers=workers)


def exposition(count: int, age: float) -> str:
    """The metrics of one worker."""
    registry = CollectorRegistry()
    Counter("auth_tokens_issued", "Tokens.", ["grant_type"], registry=registry).labels('a "quoted" \\ text').inc(count)
    Gauge("auth_key_age_seconds", "Age.", registry=registry).set(age)
    histogram = Histogram("auth_request_duration_seconds", "Time.", ["path"], buckets=(0.1, 1.0), registry=registry)
    for _ in range(count):
        histogram.labels("/token").observe(0.5)
    return generate_latest(registry).decode()


def test_the_metrics_of_each_worker_have_its_number():
    registry = CollectorRegistry()
    collector = WorkerCollector(
        lambda: {0: exposition(3, 1.5), 4: exposition(4, float("nan"))},
        prefix="auth",
        count_running=lambda: 2,
        count_failures=lambda: 1,
    )
    registry.register(collector)
    text = generate_latest(registry).decode()
    for line in (
        "auth_workers 2.0",
        "auth_worker_failures_total 1.0",
        'auth_tokens_issued_total{grant_type="a \\"quoted\\" \\\\ text",worker="0"} 3.0',
        'auth_tokens_issued_total{grant_type="a \\"quoted\\" \\\\ text",worker="4"} 4.0',
        'auth_key_age_seconds{worker="0"} 1.5',
        'auth_key_age_seconds{worker="4"} NaN',
        'auth_request_duration_seconds_bucket{le="1.0",path="/token",worker="4"} 4.0',
        'auth_request_duration_seconds_count{path="/token",worker="0"} 3.0',
    ):
        assert line in text.splitlines()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)), "each metric is described once"


def test_a_worker_takes_its_sockets_from_the_environment():
    listener, channel_end = socket.socketpair()
    given = InheritedSockets(3, listener, channel_end)
    environment = {**given.variables(), "PATH": "/bin"}
    descriptors = {listener.fileno(), channel_end.fileno()}
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    taken = InheritedSockets.take(environment)
    assert taken is not None
    assert environment == {"PATH": "/bin"}
    assert (taken.number, {taken.listener.fileno(), taken.channel_end.fileno()}) == (3, descriptors)
    assert not any(map(os.get_inheritable, descriptors))
    listener.detach()
    channel_end.detach()
    taken.listener.close()
    taken.channel_end.close()
    assert InheritedSockets.take({}) is None


def test_a_listener_that_ignores_new_connections_keeps_established_ones():
    with bind_socket("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client:
            ignore_new_connections(listener)
            with socket.socket() as late:
                late.setblocking(False)
                late.connect_ex(listener.getsockname())
                client.sendall(b"request")
                accepted, _ = listener.accept()
                with accepted:
                    assert accepted.recv(100) == b"request"
                    accepted.sendall(b"response")
                    assert client.recv(100) == b"response"
                listener.setblocking(False)
                with pytest.raises(BlockingIOError):
                    listener.accept()
