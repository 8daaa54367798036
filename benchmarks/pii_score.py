"""Scores: compares the spans that an engine finds with the labelled spans, by kind."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pii_corpus import Sample

__all__ = ["ALONE", "CONTEXT", "STRUCT", "Score", "score"]

Span = tuple[str, int, int]
Scan = Callable[[Sample], Sequence[Span]]

CONTEXT = ("PERSON", "ADDRESS", "DATE_OF_BIRTH")
STRUCT = (
    *("EMAIL", "PHONE", "KR_RRN", "CREDIT_CARD", "IBAN", "IP", "US_SSN", "PASSPORT", "DRIVER_LICENSE"),
    *("BUSINESS_NUMBER", "CORP_NUMBER", "BANK_ACCOUNT", "VEHICLE_PLATE", "CUSTOMS_CODE"),
)
ALONE = ("NATIONAL_ID", "SECRET")  # kinds that are reported by themselves, not as a part of a group


@dataclass
class Score:
    """Counts for one engine.

    A found span is a hit if it has the same kind and overlaps at least half of both spans. Each span counts once.
    """

    hits: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    leaked_chars: Counter[str] = field(default_factory=Counter)
    gold_chars: Counter[str] = field(default_factory=Counter)
    clean_texts: int = 0
    clean_hit: int = 0
    other_chars: int = 0
    other_masked: int = 0
    errors: list[tuple[str, str, Span, str]] = field(default_factory=list)

    def figures(self, kinds: Iterable[str]) -> tuple[float, float, float]:
        """Precision, recall and F1 over these kinds."""
        kinds = list(kinds)
        hits, missed, wrong = (sum(count[kind] for kind in kinds) for count in (self.hits, self.missed, self.wrong))
        precision, recall = hits / max(1, hits + wrong), hits / max(1, hits + missed)
        return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)

    def leak(self, kinds: Iterable[str]) -> float:
        """The share of labelled characters that no finding of any kind covers."""
        kinds = list(kinds)
        return sum(self.leaked_chars[kind] for kind in kinds) / max(1, sum(self.gold_chars[kind] for kind in kinds))


def _matches(gold: Span, found: Span) -> bool:
    shared = min(gold[2], found[2]) - max(gold[1], found[1])
    return gold[0] == found[0] and shared * 2 >= max(gold[2] - gold[1], found[2] - found[1])


def score(samples: Iterable[Sample], scan: Scan) -> Score:
    """Runs one engine over the samples."""
    result = Score()
    for sample in samples:
        found = list(scan(sample))
        covered = {index for _, start, end in found for index in range(start, end)}
        labelled = {index for _, start, end in sample.spans for index in range(start, end)}
        result.other_chars += len(sample.text) - len(labelled)
        result.other_masked += len(covered - labelled)
        if not sample.spans:
            result.clean_texts += 1
            result.clean_hit += bool(found)
        for gold in sample.spans:
            kind = gold[0]
            result.gold_chars[kind] += gold[2] - gold[1]
            result.leaked_chars[kind] += len(set(range(gold[1], gold[2])) - covered)
            match = next((span for span in found if _matches(gold, span)), None)
            if match is None:
                result.missed[kind] += 1
                result.errors.append(("missed", sample.group, gold, sample.text))
            else:
                found.remove(match)
                result.hits[kind] += 1
                result.exact[kind] += match[1:] == gold[1:]
        for span in found:
            result.wrong[span[0]] += 1
            result.errors.append(("wrong", sample.group, span, sample.text))
    return result
