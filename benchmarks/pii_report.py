"""`make pii-report`: precision, recall and F1 by kind on the held-out half of the corpus, into docs/pii-report.md."""

import json
import os
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pii_corpus import SEED, Sample, corpus, written
from pii_score import ALONE, CONTEXT, STRUCT, Score, Span, score

from security_common.pii import get_pii_detector

_RIVALS = os.environ.get("PII_RIVALS_PYTHON", ".venv-benchmark/bin/python")
_ENGINES = ("ko-pii", "presidio")
_BLIND = """
These texts were written without knowledge of the rules, their word lists and the templates{except_for}.
"First run" has the figures of commit {commit}, measured on {measured} before any rule was changed because of these
texts. Of all figures here they are the best estimate for other texts. "Ours" has the figures of the present rules,
which may have been improved for texts that the first run missed.
"""
_EXCEPT_FOR = {
    "blind": ", except for ten lines of `by_hand` that show the format",
    **dict.fromkeys(("blind_again", "blind_shop", "blind_travel"), ", and of any other labelled text"),
}
_LIMITS = """
## Limits of these figures

- The templates and the generated values were written for this project. A detector looks better on a corpus by its own
  authors than on other texts; the figures guard against regressions and show kinds that are not covered at all.
- The rules were developed on the `tuned` templates. The `held_out` templates are by the same authors, but no rule was
  changed because of them.
- The texts of `by_hand` were chosen to be difficult. Where a general rule could find what was missed, the rules were
  changed, so the figures are too good; the other misses were left in the set.
- Names and addresses are found by rules. Rare given names, single given names, foreign names without a label and
  addresses in free prose are missed. These figures do not show how often this happens in your texts.
- The blind sets are small: 10 to 35 values of most kinds, so that one value changes a figure by several hundredths.
  Their authors knew which kinds are searched for. After a rule was changed because of a set, only the first run is
  blind.
- The row of another engine covers only the kinds that it supports; a dash means that it supports none. Presidio runs
  its pattern recognizers (Korean ones on, UrlRecognizer off) without a language model, so it finds no names.
"""


def _other_engine(name: str, samples: Sequence[Sample]) -> Score | None:
    if not Path(_RIVALS).exists():
        return None
    texts = "".join(f"{json.dumps(sample.text)}\n" for sample in samples)
    command = [_RIVALS, str(Path(__file__).with_name("pii_rivals.py")), name]
    run = subprocess.run(command, input=texts, capture_output=True, text=True, check=True)
    spans = [json.loads(line) for line in run.stdout.splitlines()]
    spans_by_text = dict(zip((sample.text for sample in samples), spans, strict=False))
    return score(samples, lambda sample: [tuple(span) for span in spans_by_text[sample.text]])


def own(sample: Sample) -> list[Span]:
    """The spans that our detector finds."""
    found = get_pii_detector().scan_text(sample.text, field_name=sample.field_name)
    return [(finding.kind.value, finding.start, finding.end) for finding in found]


def _cells(result: Score | None, kinds: Sequence[str]) -> str:
    if result is None or not any(result.hits[kind] + result.wrong[kind] for kind in kinds):
        return "– | – | –"
    return " | ".join(f"{figure:.3f}" for figure in result.figures(kinds))


def _blind_section(which: str) -> list[str]:
    path = Path(__file__).with_name(f"pii_{which}_first_run.toml")
    first_run = tomllib.loads(path.read_text(encoding="utf-8"))
    preface = _BLIND.format(
        except_for=_EXCEPT_FOR[which], commit=first_run.pop("commit"), measured=first_run.pop("measured")
    )
    counts = {name: Counter(value) if isinstance(value, dict) else value for name, value in first_run.items()}
    return [f"## {which}", preface.strip(), _table(written(which), {"first run": Score(**counts)})]


def _table(samples: Sequence[Sample], kept: Mapping[str, Score]) -> str:
    results = {**kept, "ours": score(samples, own)} | {name: _other_engine(name, samples) for name in _ENGINES}
    columns = [name for name, result in results.items() if result is not None]
    lines = ["| kind | " + " | ".join(f"{name} P | R | F1" for name in columns) + " |"]
    lines.append("|---" * (1 + 3 * len(columns)) + "|")
    rows = [(kind, [kind]) for kind in (*STRUCT, *CONTEXT, *ALONE)]
    for title, kinds in [*rows, ("STRUCT", STRUCT), ("CONTEXT", CONTEXT), ("ALL", [*STRUCT, *CONTEXT])]:
        lines.append(f"| {title} | " + " | ".join(_cells(results[name], kinds) for name in columns) + " |")
    lines += [
        _leaks_and_false_positives(name, result) for name, result in results.items() if result and name not in _ENGINES
    ]
    return "\n".join(lines)


def _leaks_and_false_positives(name: str, result: Score) -> str:
    leaks = f"{result.leak(STRUCT):.3f} (STRUCT) and {result.leak(CONTEXT):.3f} (CONTEXT)"
    masked = f"other characters masked {result.other_masked / max(1, result.other_chars):.4f}"
    clean = f"clean texts with findings {result.clean_hit} of {result.clean_texts}"
    return f"\n{name.capitalize()}: characters leaked {leaks}, {masked}, {clean}."


def _speed(samples: Sequence[Sample]) -> str:
    scan = get_pii_detector().scan_text
    texts = [sample.text for sample in samples if "/adv/" not in sample.group]
    times = [1 << 40] * len(texts)
    for _ in range(3):
        for index, text in enumerate(texts):
            started = time.process_time_ns()
            scan(text)
            times[index] = min(times[index], time.process_time_ns() - started)
    times.sort()
    mean_length = sum(map(len, texts)) / len(texts)
    rate = len(times) / (sum(times) / 1e9)
    return (
        f"{rate:,.0f} texts of {mean_length:.0f} characters per second and core (CPU time), p99 "
        f"{times[len(times) * 99 // 100] / 1000:.0f} µs. Most texts of the corpus contain several values."
    )


def main() -> None:
    """Writes the report to the file that the first argument names, and prints it."""
    samples = corpus()
    parts = ["# PII report", f"Written by `make pii-report`; {len(samples)} texts, seed {SEED}."]
    for which in _EXCEPT_FOR:
        parts += _blind_section(which)
    for which in ("held_out", "by_hand", "tuned"):
        chosen = [sample for sample in [*samples, *written("by_hand")] if sample.group.startswith(which)]
        parts += [f"## {which}", _table(chosen, {})]
    parts += ["## Speed", _speed(samples), _LIMITS.strip()]
    report = "\n\n".join(parts) + "\n"
    Path(sys.argv[1]).write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
