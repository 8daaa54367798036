"""Codes that only their label identifies: passports, driver's licences and number plates.

    passport: CK9KW8108      DL# 123456789      license plate 8KLM204

The label says what the code is, and the code has a form that is used for it somewhere. Codes with a shape of their own
are in alphanumeric_codes and national_ids.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from security_common.pii.check_digits import is_calendar_date
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import Label, LabelledText
from security_common.pii.rules import Rule

__all__ = ["LABELLED_CODES"]

_SCORE = 0.86
_CONNECTOR = re.compile(
    r"(?:s|[ _]?(?:번호|号码|號碼|番号|号|號|number|numéro|nummer|num|no|nr|id))?\.?\s?#?['\"\]]{0,2}"
    r"(?:은|는|이|가)?\s{0,2}(?:\([^()\n]{1,16}\))?\s{0,2}(?:is|was|[:=|>]|[ .]{2,40})?[\s'\"(]{0,4}",
    re.IGNORECASE,
)
_END = r"(?![A-Za-z0-9_])(?![-/.][A-Za-z0-9])"


class _Form(NamedTuple):
    """The ways in which a code is written, and how many digits it has at least."""

    expression: re.Pattern[str]
    fewest_digits: int


_PASSPORT = _Form(re.compile(rf"(?:[A-Z0-9]{{7,10}}|[A-Z]{{1,2}}[ -][0-9]{{6,8}}|[a-z]{{1,2}}[0-9]{{7,8}}){_END}"), 4)
_DRIVER_LICENSE = _Form(
    re.compile(
        rf"(?:[A-Z0-9]{{7,16}}|[0-9]{{3}} [0-9]{{3}} [0-9]{{3}}"
        rf"|[A-Z][0-9]{{3}}(?:[- ][0-9]{{1,4}}){{2,4}}|[A-Z9]{{2,5}} ?[0-9]{{6}} ?[A-Z0-9]{{5}}(?: [0-9]{{2}})?){_END}"
    ),
    5,
)
_VEHICLE_PLATE = _Form(
    re.compile(
        r"(?:[A-Z]{2}[0-9]{2} ?[A-Z]{3}|[A-Z]{2}[0-9]{2} [A-Z0-9]{3}|[0-9][A-Z]{3}[0-9]{3}"
        r"|[A-Z]{3} ?[0-9]{3,4}|[0-9]{3} ?[A-Z]{3}"
        r"|[A-Z]{2}-[0-9]{3}-[A-Z]{2}|[A-Z]{1,3}-[A-Z]{1,2} ?[0-9]{1,4}|[A-Z]{2} ?[0-9]{1,2} ?[A-Z]{1,3} ?[0-9]{4}"
        r"|[\u4e00-\u9fff][A-Z][ .]?[A-Z0-9]{5,6}"
        r"|[\u4e00-\u9fff]{2,4} ?[0-9]{2,3} ?[\u3042-\u3093] ?[0-9]{2}-?[0-9]{2}"
        rf"|(?:[가-힣]{{2}} ?){{1,2}}[가-힣] ?[0-9]{{4}}){_END}"
    ),
    2,
)
_FORMS: Mapping[str, _Form] = {
    PIIKind.PASSPORT: _PASSPORT,
    PIIKind.DRIVER_LICENSE: _DRIVER_LICENSE,
    PIIKind.VEHICLE_PLATE: _VEHICLE_PLATE,
}
_DRIVER = re.compile(r"driv|\bdl\b|운전|führerschein|permis|conducir|patente")
_WORDS_FOR_VEHICLES = frozenset(
    {"차", "차량", "자동차", "차가", "차는", "차주", "주차", "입차", "출차", "견인", "vehicle"}
)
"""Labels of number plates that are also in front of other values."""
_DATE = re.compile(r"((?:19|20)[0-9]{2})[-./]?([0-9]{2})[-./]?([0-9]{2})")


def _find_labelled_codes(source: LabelledText) -> Iterator[Finding]:
    for kind, form in _FORMS.items():
        for label in source.labels.of_kind(kind):
            if not _is_certain(source, label):
                continue
            connector = _CONNECTOR.match(source.text, label.end)
            code = form.expression.match(source.text, connector.end() if connector is not None else label.end)
            if code is not None and _is_code(code.group(), form.fewest_digits):
                yield Finding(PIIKind(kind), code.start(), code.end(), _SCORE, "label")


def _is_certain(source: LabelledText, label: Label) -> bool:
    """Excludes labels that also name something else, such as the license of a program."""
    word = source.lowered[label.start : label.end]
    if label.kind == PIIKind.DRIVER_LICENSE:
        return _DRIVER.search(word) is not None
    return word not in _WORDS_FOR_VEHICLES


def _is_code(written: str, fewest_digits: int) -> bool:
    """Whether a text has enough digits and is not a date."""
    if sum(map(str.isdigit, written)) < fewest_digits:
        return False
    date = _DATE.fullmatch(written)
    return date is None or not is_calendar_date(*map(int, date.groups()))


LABELLED_CODES = Rule(
    r"(?i:passport|passeport|pasaporte|passaporto|reisepass|travel.?doc|licen[cs]e|driving|plate|vehicle|kennzeichen"
    r"|immatriculation|placa|targa|permis|conducir|führerschein|patente|matr[ií]cula"
    r"|car.?(?:no|number|plate|reg)|(?:^|[^a-z])(?:dl|reg)(?:$|[^a-z]))"
    r"|여권|면허|번호판|차량|자동차|차번호|이륜|오토바이|护照|護照|旅券|パスポート|车牌|車牌|車両",
    _find_labelled_codes,
    begins_with_word=True,
)
