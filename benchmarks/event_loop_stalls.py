"""How long the event loop is held while large results are searched: the longest stall in one process.

    python benchmarks/event_loop_stalls.py [--results 16] [--bytes 1000000]

Tools under `secure_tool(pii_policy="mask")` return their results at the same time: records, one long text, and a text
without personal data. A heartbeat asks for the event loop every 2 ms; a stall is how much later than asked it gets it.
The target is 50 ms. The CPU time that this process used during a stall is printed as well: what a stall has beyond it
is due to other programs. `idle` is the same heartbeat without calls.
"""

import argparse
import asyncio
import os
import tempfile
import time
from random import Random
from typing import Any

from http_load import freeze_heap
from pii_speed import SEED, dense_records, growing_text

from security_common import secure_tool

HEARTBEAT_SECONDS = 0.002
IDLE_SECONDS = 3.0
TARGET_MS = 50


@secure_tool(pii_policy="mask", log_access=False)
async def look_up(results: list[Any]) -> Any:
    """Returns a result that the policy has not seen as an argument."""
    return results_by_name[results[0]]


results_by_name: dict[str, Any] = {}


class Heartbeat:
    """Measures stalls of the event loop that it runs on."""

    def __init__(self) -> None:
        self.stalls_ms: list[float] = []
        self.stalls_cpu_ms: list[float] = []

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            asked, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.stalls_ms.append((time.perf_counter() - asked - HEARTBEAT_SECONDS) * 1000)
            self.stalls_cpu_ms.append((time.process_time() - used) * 1000)

    def summary(self) -> str:
        """The longest stall, percentiles, and the longest one in CPU time."""
        ordered = sorted(self.stalls_ms)
        p99 = ordered[int(len(ordered) * 0.99)]
        over = sum(stall > TARGET_MS for stall in ordered)
        return (
            f"longest {ordered[-1]:.1f} ms, p99 {p99:.1f} ms, {over} of {len(ordered)} over {TARGET_MS} ms; "
            f"longest by CPU time {max(self.stalls_cpu_ms):.1f} ms"
        )


async def stalls_during(work: Any) -> tuple[str, float]:
    """The stalls while `work` is awaited, and how long it took in seconds."""
    heartbeat = Heartbeat()
    task = asyncio.create_task(heartbeat.run())
    started = time.perf_counter()
    await work
    seconds = time.perf_counter() - started
    task.cancel()
    return heartbeat.summary(), seconds


async def measure(results: int) -> None:
    """Prints the stalls for each kind of result."""
    idle, _ = await stalls_during(asyncio.sleep(IDLE_SECONDS))
    print(f"idle: {idle}")
    for name in results_by_name:
        freeze_heap()
        stalls, seconds = await stalls_during(asyncio.gather(*(look_up([name]) for _ in range(results))))
        print(f"{results} x {name}: {stalls} ({seconds:.1f} s in total)")


def main() -> None:
    """Prints the longest stall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=16)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    arguments = parser.parse_args()
    rng = Random(SEED)
    results_by_name["records"] = dense_records(arguments.bytes, rng)
    results_by_name["long text"] = growing_text(arguments.bytes, rng)
    results_by_name["clean text"] = "nothing to find here, " * (arguments.bytes // 22)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SECURITY_AUDIT_DIR"] = folder
        os.environ["SECURITY_PII_SEARCH_MAX_CHARACTERS_PER_CALLER"] = str(2 * arguments.results * arguments.bytes)
        asyncio.run(measure(arguments.results))


if __name__ == "__main__":
    main()
