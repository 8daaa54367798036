"""Precision and recall on the labelled texts do not fall below the floors in benchmarks/pii_floors.toml."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from pii_corpus import WRITTEN_SETS, Sample, corpus, written
from pii_score import CONTEXT, STRUCT, Score, Span, score

from security_common.pii import get_pii_detector
from security_common.pii.detector import PREPARATION_GATES, RULES, open_gates
from security_common.pii.normalization import normalize, replace_spoken_digits

FLOORS = tomllib.loads((Path(__file__).parents[3] / "benchmarks/pii_floors.toml").read_text(encoding="utf-8"))
CLEAN_TEXTS_HIT = FLOORS.pop("clean_texts_hit")


def all_samples() -> list[Sample]:
    return [*corpus(), *(sample for name in WRITTEN_SETS for sample in written(name))]


def scan(sample: Sample) -> list[Span]:
    found = get_pii_detector().scan_text(sample.text, field_name=sample.field_name)
    return [(finding.kind.value, finding.start, finding.end) for finding in found]


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    samples = all_samples()
    return {name: score((sample for sample in samples if sample.group.split("/")[0] == name), scan) for name in FLOORS}


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_no_kind_falls_below_its_floor(name: str, scores: dict[str, Score]) -> None:
    groups = {"STRUCT": STRUCT, "CONTEXT": CONTEXT}
    for kind, floors in FLOORS[name].items():
        figures = scores[name].figures(groups.get(kind, (kind,)))
        assert all(figure >= floor for figure, floor in zip(figures, floors, strict=True)), (kind, figures, floors)


def test_no_gate_hides_what_its_rule_would_find() -> None:
    """A text that does not match `also_required` is left out: for English names this is a part of the rule."""
    rules = list(enumerate(RULES, start=len(PREPARATION_GATES)))
    widest = {rule.also_required: re.compile(rule.also_required) for rule in RULES}
    apply_rules = get_pii_detector().apply_rules
    for sample in all_samples():
        text = replace_spoken_digits(normalize(sample.text).text)
        needed = [gate for gate, rule in rules if widest[rule.also_required].search(text)]
        gates = [gate for gate in open_gates(text) if gate in needed]
        assert apply_rules(text, gates) == apply_rules(text, needed), text


def test_unusual_spellings_do_not_hide_values() -> None:
    samples = [sample for sample in corpus() if "/adv/" in sample.group]
    for group in sorted({sample.group for sample in samples}):
        result = score((sample for sample in samples if sample.group == group), scan)
        assert result.figures((*STRUCT, *CONTEXT))[2] >= 0.9, group


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_texts_without_personal_data_have_no_findings(name: str, scores: dict[str, Score]) -> None:
    assert scores[name].clean_texts >= 80
    assert scores[name].clean_hit <= CLEAN_TEXTS_HIT[name]
