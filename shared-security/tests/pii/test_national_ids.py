"""National identification numbers: check digits, labels, ways of writing, and what resembles them.

All numbers are invented. Where a number has check digits, they were calculated.
"""

import re
import string
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import PIIConfiguration, PIIDetector, PIIKind, get_pii_detector
from security_common.pii.configuration_file import parse_configuration
from security_common.pii.national_ids import COUNTRIES

detector = get_pii_detector()


class _Family(NamedTuple):
    """Valid numbers of one kind: `written` with separators, `plain` without. `labels` are words of the country.

    `distinctive` are the forms that are found without a label. `has_check` is whether a number can be invalid.
    """

    country: str
    labels: tuple[str, ...]
    written: str
    plain: str
    distinctive: tuple[str, ...] = ()
    has_check: bool = True


_FAMILIES = {
    "AU-TFN": _Family("AU", ("TFN", "tax file number:"), "123 456 782", "123456782"),
    "AU-Medicare": _Family("AU", ("Medicare", "medicare card number:"), "2123 45670 1", "2123456701"),
    "BR-CPF": _Family("BR", ("CPF", "cliente CPF:"), "352.844.407-06", "35284440706", ("352.844.407-06",)),
    "BR-CNPJ": _Family("BR", ("CNPJ:", "cnpj"), "11.222.333/0001-81", "11222333000181"),
    "CA-SIN": _Family("CA", ("SIN:", "Social Insurance Number"), "130 692 544", "130692544"),
    "CN-18": _Family(
        "CN",
        ("身份证号", "居民身份证:", "중국 신분증번호", "Chinese ID"),
        "110105 19491231 0038",
        "110105194912310038",
        ("11010519491231002X", "110105194912310038"),
    ),
    "DE": _Family("DE", ("Steuer-ID:", "Steueridentifikationsnummer"), "86 095 742 719", "86095742719"),
    "ES-DNI": _Family("ES", ("DNI", "dni/nie:"), "12.345.678-Z", "12345678Z", ("12345678Z", "12.345.678-Z")),
    "ES-NIE": _Family("ES", ("NIE:",), "X-1234567-L", "X1234567L", ("X1234567L", "X-1234567-L")),
    "FR": _Family(
        "FR",
        ("NIR", "numéro de sécurité sociale:", "n° de sécurité sociale"),
        "2 55 08 14 168 025 38",
        "255081416802538",
        ("2 55 08 14 168 025 38", "255081416802538"),
    ),
    "FR-Corsica": _Family("FR", ("NIR:",), "1 80 05 2A 006 084 86", "180052A00608486", ("180052A00608486",)),
    "GB-NINO": _Family(
        "GB", ("NINO", "National Insurance number:"), "AB 12 34 56 C", "AB123456C", ("AB 12 34 56 C",), has_check=False
    ),
    "GB-NHS": _Family("GB", ("NHS number", "NHS no:"), "943 476 5919", "9434765919"),
    "HK": _Family("HK", ("HKID", "香港身份證:", "홍콩 신분증"), "A123456(3)", "A1234563", ("A123456(3)", "G123456(A)")),
    "IN-Aadhaar": _Family("IN", ("Aadhaar", "आधार", "aadhaar no:"), "2341 2341 2346", "234123412346"),
    "IN-PAN": _Family("IN", ("PAN:", "PAN card"), "ABCPE1234F", "ABCPE1234F", ("ABCPE1234F",), has_check=False),
    "IT": _Family("IT", ("codice fiscale", "C.F."), "RSSMRA85T10A562S", "RSSMRA85T10A562S", ("RSSMRA85T10A562S",)),
    "JP": _Family("JP", ("マイナンバー", "個人番号:", "My Number", "마이넘버"), "1234 5678 9018", "123456789018"),
    "PH-SSS": _Family("PH", ("SSS", "SSS No:"), "34-1234567-8", "3412345678", has_check=False),
    "PH-TIN": _Family("PH", ("TIN:", "TIN no"), "123-456-789-000", "123456789000", has_check=False),
    "PH-PhilSys": _Family("PH", ("PhilSys", "PCN:"), "1234-5678-9012-3456", "1234567890123456", has_check=False),
    "SG": _Family("SG", ("NRIC", "nric/fin:", "FIN no"), "S1234567D", "S1234567D", ("S1234567D", "G1234567X")),
    "TH": _Family(
        "TH",
        ("Thai ID", "เลขบัตรประชาชน", "เลขประจำตัวประชาชน:"),
        "1-1017-00230-70-8",
        "1101700230708",
        ("1-1017-00230-70-8",),
    ),
    "TW": _Family(
        "TW", ("身分證字號", "居留證號:", "대만 신분증"), "A123456789", "A123456789", ("A123456789", "A800000014")
    ),
}
_LABELLED = [
    (name, label, value)
    for name, family in _FAMILIES.items()
    for label in family.labels
    for value in dict.fromkeys((family.written, family.plain))
]
_UNLABELLED = [(name, value) for name, family in _FAMILIES.items() for value in family.distinctive]
# The last digit of a Medicare card is the number of its issue.
_WITH_CHECK = [name for name, family in _FAMILIES.items() if family.has_check]


def _national_ids(text: str) -> list[tuple[str, str]]:
    found = [each for each in detector.scan_text(text) if each.kind is PIIKind.NATIONAL_ID]
    return [(text[each.start : each.end], each.why) for each in found]


def _with_wrong_check(value: str) -> str:
    """The same number with the next character in the place of its last letter or digit."""
    place = max(index for index, char in enumerate(value) if char.isalnum())
    alphabet = string.digits if value[place].isdigit() else string.ascii_uppercase
    wrong = alphabet[(alphabet.index(value[place]) + 1) % len(alphabet)]
    return value[:place] + wrong + value[place + 1 :]


@pytest.mark.parametrize(("name", "label", "value"), _LABELLED)
def test_a_number_beside_a_label_of_its_country_is_found(name: str, label: str, value: str) -> None:
    country = _FAMILIES[name].country.lower()

    [(found, why)] = _national_ids(f"{label} {value}, ok")

    assert found == value
    assert why in {f"{country}-check-digit", f"{country}-label"}


@pytest.mark.parametrize("name", [name for name in _WITH_CHECK if name != "AU-Medicare"])
def test_a_label_alone_is_enough_but_the_reason_says_so(name: str) -> None:
    family = _FAMILIES[name]
    wrong = _with_wrong_check(family.plain)

    [(found, why)] = _national_ids(f"{family.labels[0]} {wrong}")

    assert (found, why) == (wrong, f"{family.country.lower()}-label")


@pytest.mark.parametrize(("name", "value"), _UNLABELLED)
def test_a_distinctive_number_is_found_without_a_label(name: str, value: str) -> None:
    assert [found for found, _ in _national_ids(f"we received {value} today")] == [value]
    assert [found for found, _ in _national_ids(value)] == [value]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in _UNLABELLED if _FAMILIES[name].has_check])
def test_a_distinctive_number_with_a_wrong_check_digit_is_not_found_without_a_label(name: str, value: str) -> None:
    assert _national_ids(f"we received {_with_wrong_check(value)} today") == []


@pytest.mark.parametrize("name", [name for name, family in _FAMILIES.items() if family.plain not in family.distinctive])
def test_digits_that_many_numbers_have_need_a_label(name: str) -> None:
    assert _national_ids(f"we received {_FAMILIES[name].plain} today") == []


@pytest.mark.parametrize(
    "label", ["national id", "National ID number:", "identity card no", "신분증번호", "납세자번호:"]
)
@pytest.mark.parametrize("name", [name for name in _WITH_CHECK if name != "BR-CNPJ"])
def test_a_general_label_is_enough_for_valid_check_digits(name: str, label: str) -> None:
    family = _FAMILIES[name]

    assert [found for found, _ in _national_ids(f"{label} {family.written}")] == [family.written]


@pytest.mark.parametrize(
    "members",
    [
        '{"cpf": "352.844.407-06"}',
        '{"nric": "S1234567D"}',
        '{"my_number": "123456789018"}',
        '{"hkid": "A1234563"}',
        '{"steuerId": "86095742719"}',
        '{"aadhaarNumber": "234123412346"}',
        '{"codice_fiscale": "RSSMRA85T10A562S"}',
        '{"national_id": "S1234567D"}',
        '{"document": "S1234567D"}',
        "sin=130692544",
    ],
)
def test_the_name_of_a_field_is_a_label(members: str) -> None:
    assert len(_national_ids(members)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "order A123456789 shipped",
        '{"part": "A123456789"}',
        '{"sku": "S1234567D"}',
        "https://example.com/items/S1234567D",
        "s3://bucket/12345678Z/x.csv",
        "/srv/data/A123456789/run.log",
        "abc12345678Z",
        "12345678z",
        "commit 12345678e",
        "12345678-Z-1",
        "AB123456C",
        "BG 12 34 56 C",
        "1234 5678 9018",
        "2341 2341 2346",
        "123-456-782",
        "송장 1234-5678-9018",
        "운송장번호 234123412346",
        "86 095 742 719",
        "version 1-1017-00230-70-8-2",
        "0x352844407",
        "110105194912310021",
        "the sin of 46 and cos 12",
        "tin can 12345",
        "[255081416802538, 255081416802539]",
        "A1234563",
        "FLIGHT KE1234567",
    ],
)
def test_what_resembles_a_national_id_is_left_alone(text: str) -> None:
    assert detector.scan_text(text) == []


@given(st.integers(1, 8), st.integers(0, 10**11 - 1))
def test_only_one_of_ten_last_digits_makes_a_thai_number_valid(first: int, rest: int) -> None:
    body = f"{first}{rest:011}"
    written = f"{body[0]}-{body[1:5]}-{body[5:10]}-{body[10:]}"

    valid = [digit for digit in string.digits if _national_ids(f"{written}-{digit}")]

    assert len(valid) == 1


@given(st.from_regex(r"[STFGM][0-9]{7}", fullmatch=True))
def test_only_one_letter_makes_a_singapore_number_valid(body: str) -> None:
    assert len([letter for letter in string.ascii_uppercase if _national_ids(f"we met {body}{letter}")]) == 1


@pytest.mark.parametrize("value", ["S1234567A", "12345678A", "A123456788", "RSSMRA85T10A562T", "X1234567A"])
def test_a_general_label_is_enough_for_a_number_with_letters(value: str) -> None:
    assert [found for found, _ in _national_ids(f"national id: {value}")] == [value]


@pytest.mark.parametrize("name", sorted(_FAMILIES))
def test_a_mask_shows_the_last_two_characters_at_most(name: str) -> None:
    family = _FAMILIES[name]
    text = f"{family.labels[0]} {family.written}"

    masked = detector.mask_text(text)

    shown = re.sub(r"[^0-9A-Za-z]", "", masked.removeprefix(family.labels[0]))
    assert len(shown) <= 2
    assert detector.mask_text(masked) == masked


def test_every_country_has_a_family() -> None:
    assert {family.country for family in _FAMILIES.values()} == COUNTRIES


def test_countries_can_be_switched_off() -> None:
    only_japan = PIIDetector(parse_configuration({"national_ids": ["JP"]}))
    none = PIIDetector(PIIConfiguration(national_ids=frozenset()))
    text = "マイナンバー 123456789018 NRIC S1234567D"

    assert [found.why for found in only_japan.scan_text(text)] == ["jp-check-digit"]
    assert none.scan_text(text) == []
    assert len(PIIDetector(parse_configuration({"national_ids": True})).scan_text(text)) == 2
    assert PIIDetector(parse_configuration({"national_ids": False})).scan_text(text) == []
