"""Codes of letters and digits: passports, licences with a region's name, number plates, customs codes, IBANs."""

import re
from collections.abc import Iterator

from security_common.pii.check_digits import IBAN_LENGTHS, is_iban
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import OTHER
from security_common.pii.reading import Reading, Rule

__all__ = ["CODES", "IBANS", "PLATES"]

_START, _END = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9]-)", r"(?![A-Za-z0-9_])(?!-[A-Za-z0-9])"
_CODE = re.compile(
    _START
    + r"(?:(?P<customs>[Pp][ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|[Pp][0-9]{12})"
    + r"|(?P<new_passport>[MSROD][0-9]{3}[A-Z][0-9]{4})"
    + r"|(?P<passport>[MSRODGT](?:[ -]?[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4}))"
    + r"|(?P<british_license>[A-Z9]{5}[0-9]{6}[A-Z0-9]{2}[0-9][A-Z]{2})"
    + r"|(?P<german_passport>[CFGHJK][0-9]{2}[0-9A-Z]{6})"
    + r"|(?P<other>[A-Za-z]{1,2}[ -]?[0-9]{3}[A-Za-z]?[0-9]{3,6}|[A-Za-z][0-9]{3}(?:-[0-9]{1,4}){2,4}))"
    + _END
)
_REGION = r"(?:서울|부산|대구|인천|광주|대전|울산|경기|강원|충북|충남|전북|전남|경북|경남|제주|세종)"
_REGION_LICENSE = re.compile(rf"{_REGION}[ -]?[0-9]{{2}}-[0-9]{{6}}-[0-9]{{2}}(?![0-9])")
_PLATE = re.compile(
    rf"(?<![0-9A-Za-z가-힣])({_REGION}\s?)?(?<![0-9])([0-9]{{2,3}})(\s?)([가-힣])([\s-]?)([0-9]{{4}})(?![0-9A-Za-z])"
    r"(?!\s?(?:원|억|만|천|명|개|년|번길|m|kg))"
)
_PLATE_LETTERS = frozenset("가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자배허하호국합육해공")
_ALSO_WORDS = frozenset("조호주부도구수소사자하로보")
_IBAN = re.compile(_START + r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){10,32}")


def _find_codes(reading: Reading) -> Iterator[Finding]:
    """Passports and customs codes by shape, unless called something else; licences and foreign passports by label."""
    for match in _CODE.finditer(reading.text):
        start, end = match.span()
        name, called = reading.label_of(start, end)[:2]
        shape = match.lastgroup
        if name == OTHER:
            continue
        if shape == "customs":
            yield Finding(PIIKind.CUSTOMS_CODE, start, end, 0.97 if name == "CUSTOMS_CODE" else 0.9, "shape")
        elif shape == "british_license" or (called == "DRIVER_LICENSE" and shape != "new_passport"):
            yield Finding(PIIKind.DRIVER_LICENSE, start, end, 0.85, "label")
        elif name == "PASSPORT":
            yield Finding(PIIKind.PASSPORT, start, end, 0.95, "label")
        elif shape in {"new_passport", "passport"} and match.group()[0].isupper():
            yield Finding(PIIKind.PASSPORT, start, end, 0.8, "shape")
    for match in _REGION_LICENSE.finditer(reading.text):
        yield Finding(PIIKind.DRIVER_LICENSE, match.start(), match.end(), 0.9, "shape")


def _find_plates(reading: Reading) -> Iterator[Finding]:
    """12가3456, 123가 4567, 서울 12가 3456. Letters that are words too need the label, the region or no space."""
    for match in _PLATE.finditer(reading.text):
        region, digits, before, letter, after, _ = match.groups()
        if letter not in _PLATE_LETTERS or (len(digits) == 3 and digits[0] == "0"):
            continue
        name, called = reading.label_of(*match.span())[:2]
        if called == OTHER:
            continue
        labelled = name == "VEHICLE_PLATE"
        if labelled or region or letter not in _ALSO_WORDS or not (before or after):
            yield Finding(PIIKind.VEHICLE_PLATE, match.start(), match.end(), 0.95 if labelled else 0.85, "shape")


def _find_ibans(reading: Reading) -> Iterator[Finding]:
    """ISO 13616: cut to the country's length, then remainder 1 modulo 97."""
    text = reading.text
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match.group()[:2].upper())
        if length is None:
            continue
        places = [index for index in range(match.start(), match.end()) if text[index].isalnum()]
        if len(places) < length:
            continue
        end = places[length - 1] + 1
        compact = "".join(text[index] for index in places[:length]).upper()
        if is_iban(compact) and not text[end : end + 1].isalnum():
            yield Finding(PIIKind.IBAN, match.start(), end, 0.99, "check-digit")


CODES = Rule(r"[A-Za-z][ -]?[0-9]{3}|[CFGHJK][0-9]{2}[A-Z]|[가-힣][ -]?[0-9]{2}-[0-9]{6}-", _find_codes)
PLATES = Rule(r"[0-9]\s?[가-힣][\s-]?[0-9]{4}", _find_plates)
IBANS = Rule(r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{4}", _find_ibans)
