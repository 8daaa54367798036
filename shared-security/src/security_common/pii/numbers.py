"""Numbers: how many digits in which parts says which rules to ask."""

from collections.abc import Callable, Iterator, Mapping

from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK
from security_common.pii.phones import Verdict, judge_phone
from security_common.pii.reading import Candidate, Reading, Rule
from security_common.pii.registries import REGISTERED
from security_common.pii.runs import Number, runs_in

__all__ = ["NUMBERS"]

Judge = Callable[[Number], Verdict]


def _judge_account(number: Number) -> Verdict:
    """Korean accounts have no check digit and any grouping: a label or a bank's name beside them decides."""
    if number.plus or len(set(number.joints)) > 1:
        return None
    label = number.label
    if label is None:
        return None
    if label.name == "BANK_ACCOUNT":
        return PIIKind.BANK_ACCOUNT, 0.85 if label.direct else 0.7, "label"
    if label.name == BANK and len(number.digits) >= 10:
        return PIIKind.BANK_ACCOUNT, 0.85 if label.direct else 0.65, "bank"
    return None


def _judge_foreign_passport(number: Number) -> Verdict:
    """Nine digits, as in the United States and the United Kingdom, only when they are called a passport."""
    return (PIIKind.PASSPORT, 0.85, "label") if number.called("PASSPORT") and number.parts == (9,) else None


_BY_DIGITS: Mapping[int, tuple[Judge, ...]] = {
    count: (
        *((judge_phone,) if count <= 15 else ()),
        *REGISTERED.get(count, ()),
        *((_judge_foreign_passport,) if count == 9 else ()),
        *((_judge_account,) if 9 <= count <= 16 else ()),
    )
    for count in range(8, 20)
}


def _find_numbers(reading: Reading) -> Iterator[Candidate]:
    """Every number that some rule recognises; the conflict rule settles those that overlap."""
    for run in runs_in(reading):
        for number in run.numbers():
            for judge in _BY_DIGITS.get(len(number.digits), ()):
                if verdict := judge(number):
                    kind, score, why = verdict
                    yield Candidate(kind, number.start, number.end, score, why)


NUMBERS = Rule(r"[0-9](?:[^0-9]{0,6}[0-9]){6}", _find_numbers)
