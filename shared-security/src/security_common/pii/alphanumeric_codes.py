"""Codes of letters and digits: passports, driver's licences, number plates, customs codes and IBANs."""

import re
from collections.abc import Iterator

from security_common.pii.check_digits import IBAN_LENGTHS, is_valid_iban
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import OTHER, LabelledText
from security_common.pii.rules import Rule

__all__ = ["ALPHANUMERIC_CODES", "IBANS", "VEHICLE_PLATES"]

# A code is not a part of a longer word, nor one of several parts joined by hyphens.
_CODE_START, _CODE_END = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9]-)", r"(?![A-Za-z0-9_])(?!-[A-Za-z0-9])"
_CODE = re.compile(
    _CODE_START
    # P123456789012 or P1234-5678-9012: Korean personal customs code
    + r"(?:(?P<customs>[Pp][ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|[Pp][0-9]{12})"
    # M123A4567: Korean passports since 2021
    + r"|(?P<new_passport>[MSROD][0-9]{3}[A-Z][0-9]{4})"
    # M12345678 or M-1234-5678: Korean passports before
    + r"|(?P<passport>[MSRODGT](?:[ -]?[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4}))"
    # MORGA657054SM9IJ: British driving licence
    + r"|(?P<british_license>[A-Z9]{5}[0-9]{6}[A-Z0-9]{2}[0-9][A-Z]{2})"
    # C01X0006H: German passport
    + r"|(?P<german_passport>[CFGHJK][0-9]{2}[0-9A-Z]{6})"
    # other passports and licences, which need a label
    + r"|(?P<other>[A-Za-z]{1,2}[ -]?[0-9]{3}[A-Za-z]?[0-9]{3,6}|[A-Za-z][0-9]{3}(?:-[0-9]{1,4}){2,4}))"
    + _CODE_END
)
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
_IBAN = re.compile(_CODE_START + r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){10,32}")


def _find_codes(source: LabelledText) -> Iterator[Finding]:
    """Korean passports and customs codes by shape, unless a label says otherwise; other codes by their label."""
    for match in _CODE.finditer(source.text):
        start, end = match.span()
        label = source.label_of(start, end)
        shape = match.lastgroup
        if label.kind == OTHER:
            continue
        if shape == "customs":
            score = 0.97 if label.kind == "CUSTOMS_CODE" else 0.9
            yield Finding(PIIKind.CUSTOMS_CODE, start, end, score, "shape")
        elif shape == "british_license" or (label.adjacent_kind == "DRIVER_LICENSE" and shape != "new_passport"):
            yield Finding(PIIKind.DRIVER_LICENSE, start, end, 0.85, "label")
        elif label.kind == "PASSPORT":
            yield Finding(PIIKind.PASSPORT, start, end, 0.95, "label")
        elif shape in {"new_passport", "passport"} and match.group()[0].isupper():
            yield Finding(PIIKind.PASSPORT, start, end, 0.8, "shape")
    for match in _REGION_LICENSE.finditer(source.text):
        yield Finding(PIIKind.DRIVER_LICENSE, match.start(), match.end(), 0.9, "shape")


def _find_plates(source: LabelledText) -> Iterator[Finding]:
    """12가3456, 123가 4567, 서울 12가 3456. A letter that is also a word needs a label, a region or no spaces."""
    for match in _PLATE.finditer(source.text):
        region, digits, space_before, letter, space_after, _ = match.groups()
        if letter not in _PLATE_LETTERS or (len(digits) == 3 and digits[0] == "0"):
            continue
        label = source.label_of(*match.span())
        if label.adjacent_kind == OTHER:
            continue
        labelled = label.kind == "VEHICLE_PLATE"
        is_ambiguous = letter in _PLATE_LETTERS_AND_WORDS and (space_before or space_after)
        if labelled or region or not is_ambiguous:
            yield Finding(PIIKind.VEHICLE_PLATE, match.start(), match.end(), 0.95 if labelled else 0.85, "shape")


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


ALPHANUMERIC_CODES = Rule(r"[A-Za-z][ -]?[0-9]{3}|[CFGHJK][0-9]{2}[A-Z]|[가-힣][ -]?[0-9]{2}-[0-9]{6}-", _find_codes)
VEHICLE_PLATES = Rule(r"[0-9]\s?[가-힣][\s-]?[0-9]{4}", _find_plates)
IBANS = Rule(r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{4}", _find_ibans)
