"""Measures the index of the audit trail: seconds for each query, and the memory of the process.

    nice -n 15 .venv/bin/python benchmarks/audit_index.py --events 1000000

The events are invented: 5,000 users over one year, more on some days than on others. They are written directly into an
index, as the feed does it. Every query runs in a process of its own that reports its peak memory.
"""

import argparse
import hmac
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from security_common.audit import AuditEvent, Outcome
from security_common.audit.event_index import IndexFiles, IndexReader
from security_common.audit.event_index.index_reports import count_by_time, report_access, report_security
from security_common.audit.event_index.index_writer import IndexWriter
from security_common.audit.journal_line import ChainHead, draft_line, seal_line, uuid7
from security_common.audit.reading import EventFilter
from security_common.audit.reading.access_review import Month

LINES_AT_ONCE = 200
USERS = 5_000
BEGIN = datetime(2025, 11, 1, tzinfo=UTC)
TOOLS = ("get_user_info", "store_sensitive_data", "read_sensitive_data", "send_message", "get_server_status")


def made_up_lines(count: int, days: int) -> Iterator[bytes]:
    """Lines of one journal: mostly tool calls, one of thirty refused, and a token for every ten calls."""
    choices = random.Random(20261201)
    seal = hmac.new(b"benchmark" * 4, digestmod="sha256")
    head = ChainHead(uuid7(1_700_000_000_000, os.urandom(10)))
    begin_ns = int(BEGIN.timestamp()) * 1_000_000_000
    step_ns = days * 86_400 * 1_000_000_000 // count
    for number in range(count):
        time_ns = begin_ns + number * step_ns + choices.randrange(step_ns)
        draft = draft_line(
            made_up_event(choices, number),
            service="mcp-resource-service",
            time_ns=time_ns,
            event_id=uuid7(time_ns // 1_000_000, choices.randbytes(10)),
        )
        line, head = seal_line(draft, head, seal)
        yield line


def made_up_event(choices: random.Random, number: int) -> AuditEvent:
    user = int(choices.paretovariate(0.6)) % USERS
    common = {
        "user_id": f"u_{user:020d}",
        "issuer": "https://sign-in.example",
        "source_address": f"10.0.{user % 200}.{user % 250}",
        "trace_id": f"{number:032x}",
    }
    if number % 11 == 0:
        return AuditEvent(
            event_type="token_issued",
            action_taken="issued",
            outcome=Outcome.SUCCESS,
            client_id=f"client-{user % 40}",
            **common,
        )
    refused = choices.random() < 1 / 30
    emails = choices.randrange(3)
    return AuditEvent(
        event_type="tool_call",
        action_taken="rejected" if refused else "executed_with_masking",
        outcome=Outcome.REFUSED if refused else Outcome.SUCCESS,
        reason=choices.choice(("insufficient_scope", "personal_data_refused")) if refused else None,
        tool_name=choices.choice(TOOLS),
        client_id=f"client-{user % 40}",
        contains_pii=emails > 0,
        pii_kinds={"email": emails, "person": 1} if emails else {},
        subject_reference=f"s_{choices.randrange(100_000):024d}",
        task="download" if choices.random() < 1 / 2000 else choices.choice(("view", "view", "view", "store")),
        duration_ms=round(choices.random() * 20, 3),
        **common,
    )


def queries(files: IndexFiles, days: int) -> dict[str, Callable[[], object]]:
    """The measured queries by name. The day and the month are in the middle of the period."""
    reader = IndexReader(files)
    middle = BEGIN + timedelta(days=days / 2)
    day = EventFilter(since=middle, until=middle + timedelta(days=1))
    a_month = EventFilter(since=middle, until=middle + timedelta(days=30))
    month = Month(middle.year, middle.month, ZoneInfo("Asia/Seoul"))
    rare_user = "u_" + f"{USERS - 1:020d}"
    return {
        "newest page": lambda: reader.page(limit=50),
        "page: one user": lambda: reader.page(EventFilter(user_id=rare_user), limit=50),
        "page: refused": lambda: reader.page(EventFilter(outcome=Outcome.REFUSED), limit=50),
        "page: client, tool, refused": lambda: reader.page(
            EventFilter(client_id="client-39", tool_name="send_message", outcome=Outcome.REFUSED), limit=50
        ),
        "page: nothing matches": lambda: reader.page(
            EventFilter(outcome=Outcome.REFUSED, event_type="token_issued"), limit=50
        ),
        "count: refused": lambda: reader.count(EventFilter(outcome=Outcome.REFUSED)),
        "charts of a day": lambda: count_by_time(files, day, parts=48),
        "charts of 30 days": lambda: count_by_time(files, a_month, parts=48),
        "report of a day": lambda: report_security(files, day).as_markdown(),
        "report of 30 days": lambda: report_security(files, a_month).as_markdown(),
        "report of one user": lambda: report_security(files, EventFilter(user_id=rare_user)).as_markdown(),
        "report of everything": lambda: report_security(files).as_markdown(),
        "review of a month": lambda: report_access(files, month).as_markdown("ko"),
        "export of a day": lambda: sum(1 for _ in reader.each(day)),
    }


def fill(files: IndexFiles, count: int, days: int) -> None:
    files.directory.mkdir(parents=True)
    writer = IndexWriter(files.next())
    started_at = time.process_time()
    making = 0.0
    source = made_up_lines(count, days)
    while True:
        before = time.process_time()
        lines = list(itertools.islice(source, LINES_AT_ONCE))
        making += time.process_time() - before
        if not lines:
            break
        writer.add(lines, since=BEGIN)
    writer.measure_coverage(filling=False)
    writer.close()
    seconds = time.process_time() - started_at - making
    size = files.newest().stat().st_size  # pyright: ignore[reportOptionalMemberAccess]
    print(f"fill: {seconds / count * 1e6:.1f} µs CPU and {size / count:.0f} bytes for each event", flush=True)
    print(f"fill: peak memory {peak_memory_mib()} MiB", flush=True)


def peak_memory_mib() -> int:
    """The largest memory of this process. `getrusage` would include that of the parent process at the fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(kib) / 1024)


def measure(files: IndexFiles, name: str, days: int) -> None:
    query = queries(files, days)[name]
    wall, cpu = time.perf_counter(), time.process_time()
    query()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figures = {"query": name, "seconds": round(wall, 3), "cpu": round(cpu, 3), "peak_mib": peak_memory_mib()}
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--directory", type=Path, help="keeps the index here, or uses the one that is here")
    parser.add_argument("--query", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        files = IndexFiles((options.directory or Path(temporary)) / "index")
        if options.query:
            measure(files, options.query, options.days)
            return
        if files.newest() is None:
            fill(files, options.events, options.days)
        for name in queries(files, options.days):
            arguments = [sys.executable, __file__, "--directory", files.directory.parent, "--query", name]
            subprocess.run([*map(str, arguments), "--days", str(options.days)], check=True)


if __name__ == "__main__":
    main()
