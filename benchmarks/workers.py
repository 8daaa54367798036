"""CPU per token of auth-service with two workers, compared with one process; both may use every core.

    python benchmarks/workers.py [--rounds 5] [--seconds 2]

Rounds of the two services alternate, so that other work on the machine affects both. The load uses the same cores.
"""

import argparse
import asyncio
import json
import re
import subprocess
import tempfile
import urllib.request
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any

from http_load import Measured, Server, cpu_seconds, measure, medians, ratios
from token_issuance import REQUEST, service_environment, service_program

from local_stack.ports import free_ports
from local_stack.redis_server import RedisServer

WARM_UP_SECONDS = 1
CONNECTIONS = 64


class Workers(Server):
    """auth-service with workers. Its CPU time is that of the supervisor and of all workers."""

    def __init__(self, folder: Path, redis_url: str, workers: int) -> None:
        port, metrics_port = free_ports(2)
        settings = {"AUTH_WORKERS": str(workers), "AUTH_METRICS_PORT": str(metrics_port)}
        folder.mkdir()
        environment = {**service_environment(folder, port, redis_url), **settings}
        super().__init__(port, [service_program(), "serve"], environment=environment, cpu=None)
        self._workers = workers
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"

    async def wait_until_started(self) -> None:
        """Returns when every worker accepts connections."""
        while len(self.tokens_by_worker()) < self._workers:  # noqa: ASYNC110 - nothing reports it
            await asyncio.sleep(0.1)

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, [self._process.pid, *children(self._process.pid)]))

    def tokens_by_worker(self) -> list[float]:
        """How many tokens each worker has issued."""
        with urllib.request.urlopen(self._metrics) as answer:
            text = answer.read().decode()
        issued = re.compile(r'^auth_tokens_issued_total\{grant_type="client_credentials".*} (\S+)$', re.MULTILINE)
        return [float(count) for count in issued.findall(text)]


def children(pid: int) -> list[int]:
    """The process ids of the workers."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return list(map(int, listed.stdout.split()))


async def run(one: Workers, two: Workers, rounds: int, seconds: int) -> dict[str, Any]:
    """Measures the services in turn."""
    requests = repeat(REQUEST)
    measured: dict[Workers, list[Measured]] = {one: [], two: []}
    shares: list[float] = []
    for service in measured:
        await service.wait_until_open()
        await service.wait_until_started()
        await measure(service, requests, WARM_UP_SECONDS, connections=CONNECTIONS)
    for _ in range(rounds):
        for service, results in measured.items():
            before = service.tokens_by_worker()
            results.append(await measure(service, requests, seconds, connections=CONNECTIONS))
            issued = [now - then for now, then in zip(service.tokens_by_worker(), before, strict=True)]
            if service is two:
                shares.append(min(issued) / sum(issued))
    return {
        "one process": medians(measured[one]),
        "two workers": medians(measured[two]),
        "CPU of one process over that of two workers": ratios(measured[two], measured[one])["by CPU"],
        "share of the lesser worker": [round(share, 2) for share in shares],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        stores = [stack.enter_context(RedisServer(folder / f"redis-{port}", port)) for port in free_ports(2)]
        one, two = (Workers(folder / str(count), store.url, count) for count, store in enumerate(stores, start=1))
        try:
            figures = asyncio.run(run(one, two, arguments.rounds, arguments.seconds))
        finally:
            one.stop()
            two.stop()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
