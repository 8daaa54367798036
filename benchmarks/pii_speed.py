"""How fast personal data is found: texts per second, a large result of a tool, and time per character by size.

    python benchmarks/pii_speed.py [--rounds 3] [--compare PATH]

texts     mixed texts of 60 to 130 characters (90 on average) from the corpus: plain ones and ones in evasive spellings
result    1 MB of JSON returned by a function under `secure_tool(pii_policy="mask")`; every record has personal data
growth    the same text at 10 KB, 100 KB and 1 MB: the time per character must not grow

With `--compare`, another version is measured in the same run, in turn with this one, and the ratios are printed. PATH
is the source folder of its library, for example `<a clone at that version>/shared-security/src`. All figures are CPU
time of a process with one thread; the best of all rounds counts.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from pii_corpus import corpus
from pii_values import make

__all__ = ["dense_records"]

MIXED_TEXTS, MIN_LENGTH, MAX_LENGTH = 1_500, 60, 130
RESULT_BYTES = 1_000_000
SIZES = (10_000, 100_000, 1_000_000)
SEED = 20261130


def mixed_texts() -> list[str]:
    """Texts of the corpus in random order."""
    texts = [sample.text for sample in corpus() if MIN_LENGTH <= len(sample.text) <= MAX_LENGTH]
    Random(SEED).shuffle(texts)
    return texts[:MIXED_TEXTS]


def dense_records(size_bytes: int, rng: Random) -> list[dict[str, Any]]:
    """Records as a customer database returns them, `size_bytes` of JSON in total."""
    records: list[dict[str, Any]] = []
    size = 0
    while size < size_bytes:
        number = len(records)
        record = {
            "id": 100_000 + number,
            "name": make("PERSON", rng),
            "email": make("EMAIL", rng),
            "phone": make("PHONE", rng),
            "address": make("ADDRESS", rng),
            "status": rng.choice(("active", "closed", "on hold")),
            "created_at": f"2026-{1 + number % 12:02}-{1 + number % 28:02}T09:{number % 60:02}:00Z",
            "note": f"{make('PERSON', rng)}님이 {make('PHONE', rng)} 번호로 문의, 주문 {number:08}",
            "total": round(rng.uniform(1, 900), 2),
        }
        records.append(record)
        size += len(json.dumps(record, ensure_ascii=False).encode())
    return records


def growing_text(size_bytes: int, rng: Random) -> str:
    """Sentences and log lines, about `size_bytes` long."""
    lines: list[str] = []
    size = 0
    while size < size_bytes:
        paragraph = (
            f"{make('PERSON', rng)} 고객님, {make('PHONE', rng)} 번호로 연락드렸습니다. 주소는 {make('ADDRESS', rng)}.",
            f"2026-11-30 09:{len(lines) % 60:02}:00 INFO request {len(lines):06} of {make('EMAIL', rng)} took 12",
            "The service answered all other requests within the expected time, so nothing else has to be done today.",
        )
        lines.append("\n".join(paragraph) + "\n")
        size += len(lines[-1].encode())
    return "".join(lines)


def make_inputs() -> dict[str, Any]:
    """The same inputs for every version."""
    rng = Random(SEED)
    growth = {str(size): growing_text(size, rng) for size in SIZES}
    return {"texts": mixed_texts(), "result": dense_records(RESULT_BYTES, rng), "growth": growth}


def measure(inputs: dict[str, Any]) -> dict[str, float]:
    """CPU seconds of each workload in this process, with the library that this process imports."""
    from security_common import get_pii_detector, secure_tool  # noqa: PLC0415 - only the measured processes import it

    detector = get_pii_detector()

    @secure_tool(pii_policy="mask", log_access=False)
    def look_up() -> Any:
        return inputs["result"]

    def scan_texts() -> None:
        for text in inputs["texts"]:
            detector.scan_text(text)

    workloads: dict[str, Callable[[], object]] = {"texts": scan_texts, "result": look_up}
    for size, text in inputs["growth"].items():
        workloads[f"growth {size}"] = lambda text=text: detector.scan_text(text)
    scan_texts()  # builds automata and caches
    gc.freeze()
    return {name: cpu_seconds(workload) for name, workload in workloads.items()}


def cpu_seconds(workload: Callable[[], object]) -> float:
    """CPU time of this process for one run."""
    started = time.process_time()
    workload()
    return time.process_time() - started


def measure_in_process(source: Path | None, inputs_file: Path) -> dict[str, float]:
    """Runs `measure` in a new process, with the library in `source` if it is given."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SECURITY_AUDIT_DIR": folder}
        if source is not None:
            environment["PYTHONPATH"] = str(source)
        command = [sys.executable, __file__, "--measure", str(inputs_file)]
        finished = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=folder)
    return json.loads(finished.stdout)


def best_of(rounds: int, sources: list[Path | None], inputs_file: Path) -> list[dict[str, float]]:
    """For each source the shortest time of every workload. The sources take turns in each round."""
    best: list[dict[str, float]] = [{} for _ in sources]
    for _ in range(rounds):
        for index, source in enumerate(sources):
            for name, seconds in measure_in_process(source, inputs_file).items():
                best[index][name] = min(seconds, best[index].get(name, seconds))
    return best


def describe(best: dict[str, float], inputs: dict[str, Any]) -> list[str]:
    """The figures of one version, one line for each workload."""
    texts = inputs["texts"]
    average = sum(map(len, texts)) / len(texts)
    lines = [
        f"texts: {len(texts) / best['texts']:,.0f} per second ({average:.0f} characters on average)",
        f"result of 1 MB: {best['result']:.2f} s",
    ]
    for size, text in inputs["growth"].items():
        lines.append(f"growth, {int(size):,} bytes: {best[f'growth {size}'] / len(text) * 1e6:.3f} µs per character")
    return lines


def main() -> None:
    """Prints the figures of this version, and the ratios to another one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compare", type=Path, help="source folder of another version of the library")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(json.loads(arguments.measure.read_text(encoding="utf-8")))))
        return
    inputs = make_inputs()
    with tempfile.TemporaryDirectory() as folder:
        inputs_file = Path(folder) / "inputs.json"
        inputs_file.write_text(json.dumps(inputs), encoding="utf-8")
        sources = [None] if arguments.compare is None else [None, arguments.compare.resolve()]
        best = best_of(arguments.rounds, sources, inputs_file)
    print("this version", *describe(best[0], inputs), sep="\n  ")
    if arguments.compare is not None:
        ours, theirs = best
        print("compared version", *describe(theirs, inputs), sep="\n  ")
        print(f"texts per second: {theirs['texts'] / ours['texts']:.2f} times")
        print(f"CPU time of the result: {ours['result'] / theirs['result']:.2f} times")


if __name__ == "__main__":
    main()
