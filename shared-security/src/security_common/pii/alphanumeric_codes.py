"""Codes of letters and digits: passports, driver's licences, number plates, customs codes and IBANs."""

import re
from collections.abc import Iterator

from security_common.pii.check_digits import IBAN_LENGTHS, is_calendar_date, is_valid_iban
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import OTHER, LabelledText
from security_common.pii.rules import Rule
from security_common.pii.value_surroundings import has_specific_name_before, is_in_path_or_url

__all__ = ["ALPHANUMERIC_CODES", "IBANS", "VEHICLE_PLATES"]

# A code is not a part of a longer word, nor one of several parts joined by hyphens.
_CODE_START, _CODE_END = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9]-)", r"(?![A-Za-z0-9_])(?!-[A-Za-z0-9])"
_SHAPES = (
    # P123456789012 or P1234-5678-9012: Korean personal customs code
    r"(?:(?P<customs>[Pp][ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|[Pp][0-9]{12})"
    # M123A4567: Korean passports since 2021
    r"|(?P<new_passport>[MSROD][0-9]{3}[A-Z][0-9]{4})"
    # M12345678 or M-1234-5678: Korean passports before
    r"|(?P<passport>[MSRODGT](?:[ -]?[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4}))"
    # MORGA657054SM9IJ: British driving licence: name, date of birth (the month of a woman's plus 50), initials
    r"|(?P<british_license>[A-Z9]{5}[0-9](?:[05][1-9]|[16][0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9][A-Z9]{2}[A-Z0-9][A-Z]{2})"
    # C01X0006H: German passport
    r"|(?P<german_passport>[CFGHJK][0-9]{2}[0-9A-Z]{6})"
    # other passports and licences, which need a label
    r"|(?P<other>[A-Za-z]{1,2}[ -]?[0-9]{3}[A-Za-z]?[0-9]{3,6}|[A-Za-z][0-9]{3}(?:-[0-9]{1,4}){2,4}))"
)
_CODE = re.compile(_CODE_START + _SHAPES + _CODE_END)
_DRIVER_BEFORE = re.compile(r"\bdl\b|driver'?s? licen[cs]e|driving licen[cs]e")  # DL check for age: D2311367
_CHARS_READ_FOR_DRIVER = 40
_REGION = r"(?:서울|부산|대구|인천|광주|대전|울산|경기|강원|충북|충남|전북|전남|경북|경남|제주|세종)"
_REGION_LICENSE = re.compile(rf"{_REGION}[ -]?[0-9]{{2}}-[0-9]{{6}}-[0-9]{{2}}(?![0-9])")  # 서울 12-345678-90
_PLATE = re.compile(
    rf"(?<![0-9A-Za-z가-힣])({_REGION}\s?)?(?<![0-9])"
    r"([0-9]{2,3})(\s?)([가-힣])([\s-]?)([0-9]{4})"
    r"(?![0-9A-Za-z])(?!\s?(?:원|억|만|천|명|개|년|번길|m|kg))"  # not an amount, a count, a year or a street
)
_PLATE_LETTERS = frozenset("가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자배허하호국합육해공")
_PLATE_LETTERS_AND_WORDS = frozenset("조호주부도구수소사자하로보")
"""Plate letters that are also words between numbers, as in 12호 3456."""
_COURT = re.compile(r"법원|[고지]법|헌재|헌법재판소|판례|판결|선고|사건")
_DECISION = re.compile(r"판결|결정|사건|선고|전원합의체|명령|판시|판례")
_CHARS_READ_FOR_COURT = 24
_CAR = re.compile("차량|번호판|차번호|차 번호|입차|출차|주차")
_CHARS_READ_FOR_CAR = 32
_COMMON_PASSPORT_LETTERS = frozenset("MSR")
"""The first letters of most passports. The others (diplomatic and official ones) need a label."""
_DATE_IN_CODE = re.compile(r"[A-Z](20[0-9]{2})([0-9]{2})([0-9]{2})")
_IBAN = re.compile(_CODE_START + r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){10,32}")


def _find_codes(source: LabelledText) -> Iterator[Finding]:
    """Korean passports and customs codes by shape, unless something says otherwise; other codes by their label."""
    for match in _CODE.finditer(source.text):
        recognition = _recognize_code(source, match)
        if recognition is not None:
            kind, score, why = recognition
            yield Finding(kind, match.start(), match.end(), score, why)
    for match in _REGION_LICENSE.finditer(source.text):
        yield Finding(PIIKind.DRIVER_LICENSE, match.start(), match.end(), 0.9, "shape")


def _recognize_code(source: LabelledText, match: re.Match[str]) -> tuple[PIIKind, float, str] | None:
    """Kind, score and reason for a match of _CODE, or None."""
    label = source.label_of(*match.span())
    shape = match.lastgroup
    is_of_other = label.adjacent_kind == OTHER if shape == "customs" else label.kind == OTHER
    if is_of_other:
        return None
    if shape == "customs" and label.kind == "CUSTOMS_CODE":
        return PIIKind.CUSTOMS_CODE, 0.97, "shape"
    if shape == "customs":
        return (PIIKind.CUSTOMS_CODE, 0.9, "shape") if _is_likely_without_label(source.text, match) else None
    if shape == "british_license" or (label.adjacent_kind == "DRIVER_LICENSE" and shape != "new_passport"):
        return PIIKind.DRIVER_LICENSE, 0.87, "label"
    if shape == "other" and _DRIVER_BEFORE.search(
        source.lowered, max(0, match.start() - _CHARS_READ_FOR_DRIVER), match.start()
    ):
        return PIIKind.DRIVER_LICENSE, 0.8, "label"
    if label.kind == "PASSPORT":
        return PIIKind.PASSPORT, 0.95, "label"
    is_common_passport = shape in {"new_passport", "passport"} and match.group()[0] in _COMMON_PASSPORT_LETTERS
    if is_common_passport and _is_likely_without_label(source.text, match):
        return PIIKind.PASSPORT, 0.8, "shape"
    return None


def _is_likely_without_label(text: str, match: re.Match[str]) -> bool:
    """Excludes codes that contain a date (M20261128), parts of paths and URLs, and values of other names."""
    start, end = match.span()
    date = _DATE_IN_CODE.match(match.group())
    if date is not None and is_calendar_date(*map(int, date.groups())):
        return False
    return not is_in_path_or_url(text, start, end) and not has_specific_name_before(text, start)


def _find_plates(source: LabelledText) -> Iterator[Finding]:
    """12가3456, 123가 4567, 서울 12가 3456. A letter that is also a word needs a label, a region or no spaces."""
    for match in _PLATE.finditer(source.text):
        region, digits, space_before, letter, space_after, _ = match.groups()
        if letter not in _PLATE_LETTERS or (len(digits) == 3 and digits[0] == "0"):
            continue
        label = source.label_of(*match.span())
        if label.adjacent_kind == OTHER:
            continue
        before = source.text[max(0, match.start() - _CHARS_READ_FOR_CAR) : match.start()]
        labelled = label.kind == "VEHICLE_PLATE" or _CAR.search(before) is not None
        is_ambiguous = letter in _PLATE_LETTERS_AND_WORDS and (space_before or space_after)
        if (is_ambiguous or _is_case_number(source.text, match)) and not (labelled or region):
            continue
        yield Finding(PIIKind.VEHICLE_PLATE, match.start(), match.end(), 0.95 if labelled else 0.85, "shape")


def _is_case_number(text: str, match: re.Match[str]) -> bool:
    """Whether a court is named beside it: 대법원 97다4326 판결. A case number is year, letter and serial number."""
    start, end = match.span()
    before, after = text[max(0, start - _CHARS_READ_FOR_COURT) : start], text[end : end + _CHARS_READ_FOR_COURT]
    return _COURT.search(before) is not None or _DECISION.search(after) is not None


def _find_ibans(source: LabelledText) -> Iterator[Finding]:
    """Cuts the match to the length that the country's IBANs have, and verifies the check digits (ISO 13616)."""
    text = source.text
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match.group()[:2].upper())
        if length is None:
            continue
        places = [index for index in range(match.start(), match.end()) if text[index].isalnum()]
        if len(places) < length:
            continue
        end = places[length - 1] + 1
        compact = "".join(text[index] for index in places[:length]).upper()
        if is_valid_iban(compact) and not text[end : end + 1].isalnum():
            yield Finding(PIIKind.IBAN, match.start(), end, 0.99, "check-digit")


ALPHANUMERIC_CODES = Rule(
    rf"(?:^|[^A-Za-z0-9_]){_SHAPES}(?:[^A-Za-z0-9_]|$)|[가-힣][ -]?[0-9]{{2}}-[0-9]{{6}}-", _find_codes
)
VEHICLE_PLATES = Rule(r"[0-9]\s?[가-힣][\s-]?[0-9]{4}", _find_plates)
IBANS = Rule(r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{4}", _find_ibans)
