"""National identification numbers of other countries than Korea and the United States.

A number is found

- by its check digits, if it also has a shape that little else has: 352.844.407-06 (Brazil), S1234567D (Singapore);
- beside a label of its country (data/labels.toml: NATIONAL_ID_BR, …), whether its check digits are right or not;
- beside a general label (`national id`), if its check digits are right or it has letters.

`why` begins with the code of the country (ISO 3166-1), as in `br-check-digit` and `ph-label`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from security_common.pii import national_check_digits as check
from security_common.pii.finding import BASE64, Finding, PIIKind
from security_common.pii.labels import OTHER, LabelledText
from security_common.pii.number_candidates import NumberCandidate, Recognition
from security_common.pii.rules import Rule
from security_common.pii.value_surroundings import has_specific_name_before, is_in_path_or_url

__all__ = ["COUNTRIES", "NATIONAL_CODES", "country_of", "recognize_national_number"]

COUNTRIES = frozenset({"AU", "BR", "CA", "CN", "DE", "ES", "FR", "GB", "HK", "IN", "IT", "JP", "PH", "SG", "TH", "TW"})
"""The countries whose numbers are searched for, as ISO 3166-1 alpha-2 codes."""

_GENERAL_LABEL = "NATIONAL_ID"
_LABEL_PREFIX = "NATIONAL_ID_"
_SCORE_UNLABELLED, _SCORE_GENERAL_LABEL, _SCORE_LABELLED, _SCORE_LABEL_ALONE = 0.94, 0.95, 0.97, 0.9
_SCORE_OTHER_FORM = 0.72  # a number that a country also issues, but not in this form


class _NumberFormat(NamedTuple):
    """A number of digits. `is_valid` is None without check digits.

    `groupings` are the lengths of the parts in which it is written; `distinctive` are those that need no label.
    """

    country: str
    length: int
    is_valid: Callable[[str], bool] | None = None
    groupings: frozenset[tuple[int, ...]] = frozenset()
    distinctive: frozenset[tuple[int, ...]] = frozenset()


def _format(
    country: str,
    length: int,
    is_valid: Callable[[str], bool] | None = None,
    *,
    groupings: tuple[tuple[int, ...], ...] = (),
    distinctive: tuple[tuple[int, ...], ...] = (),
) -> _NumberFormat:
    written = frozenset({(length,), *groupings, *distinctive})
    return _NumberFormat(country, length, is_valid, written, frozenset(distinctive))


_NUMBER_FORMATS = (
    _format("AU", 8, groupings=((3, 3, 2), (2, 3, 3))),  # tax file number, the old form
    _format("AU", 9, check.is_valid_tax_file_number, groupings=((3, 3, 3),)),
    _format("AU", 10, check.is_valid_medicare_card, groupings=((4, 5, 1),)),
    _format("AU", 11, check.is_valid_medicare_card, groupings=((4, 5, 1, 1), (4, 5, 2))),
    _format("BR", 11, check.is_valid_cpf, groupings=((9, 2),), distinctive=((3, 3, 3, 2),)),
    _format("BR", 14, check.is_valid_cnpj, groupings=((2, 3, 3, 4, 2), (8, 4, 2))),
    _format("CA", 9, check.is_valid_social_insurance_number, groupings=((3, 3, 3),)),
    _format("CN", 18, check.is_valid_resident_identity_number, distinctive=((18,), (6, 8, 4))),
    _format("DE", 11, check.is_valid_steuer_id, groupings=((2, 3, 3, 3), (1, 3, 3, 4))),
    _format("FR", 15, check.is_valid_nir, groupings=((13, 2),), distinctive=((1, 2, 2, 2, 3, 3, 2), (15,))),
    _format("GB", 10, check.is_valid_nhs_number, groupings=((3, 3, 4),)),
    _format("IN", 12, check.is_valid_aadhaar, groupings=((4, 4, 4),)),
    _format("JP", 12, check.is_valid_my_number, groupings=((4, 4, 4),)),
    _format("PH", 9, groupings=((3, 3, 3),)),  # taxpayer identification number
    _format("PH", 10, groupings=((2, 7, 1),)),  # social security system
    _format("PH", 12, groupings=((4, 4, 4), (3, 3, 3, 3), (4, 7, 1), (2, 9, 1))),
    _format("PH", 14, groupings=((3, 3, 3, 5),)),
    _format("PH", 16, groupings=((4, 4, 4, 4),)),  # PhilSys card
    _format("TH", 13, check.is_valid_thai_id, distinctive=((1, 4, 5, 2, 1),)),
)
_FORMATS_BY_LENGTH: Mapping[int, list[_NumberFormat]] = {
    length: [each for each in _NUMBER_FORMATS if each.length == length]
    for length in {each.length for each in _NUMBER_FORMATS}
}
_FORMAT_BY_DISTINCTIVE_GROUPING = {grouping: each for each in _NUMBER_FORMATS for grouping in each.distinctive}

# Codes with letters. Each group is named for its country and, if the country has several, a number.
_SHAPES = (
    r"(?:(?P<CN>[1-9][0-9]{5}[ -]?(?:18|19|20)[0-9]{6}[ -]?[0-9]{3}X)"
    r"|(?P<ES1>[0-9]{8}[ -]?[A-Z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}[ -]?[A-Z])"
    r"|(?P<ES2>[XYZ][ -]?[0-9]{7}[ -]?[A-Z])"
    r"|(?P<FR>[12] ?[0-9]{2} ?[0-9]{2} ?2[AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})"
    r"|(?P<GB>[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])"
    r"|(?P<HK>[A-Z]{1,2}[0-9]{6} ?\([0-9A]\))"
    r"|(?P<IN>[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z])"
    r"|(?P<IT>[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z])"
    r"|(?P<SG>[STFGM][0-9]{7}[A-Z])"
    r"|(?P<TW>[A-Z][A-D1289][0-9]{8})"
    r"|(?P<HK2>[A-Z]{1,2}[0-9]{6}[0-9A]))"
)
_CODE = re.compile(rf"(?<![A-Za-z0-9_])(?<![A-Za-z0-9]-){_SHAPES}(?![A-Za-z0-9_])(?!-[A-Za-z0-9])", re.IGNORECASE)
# What the shapes have in common: digits beside a letter, or the beginning of an Italian code.
_CODE_GATE = (
    "(?i:[0-9]{3}[ -]?[A-Z]|[A-Z][ -]?[0-9]{2} ?[0-9]{2}|2[AB] ?[0-9]{3}"
    "|[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2}[A-Z])"
)
_IS_VALID_CODE: Mapping[str, Callable[[str], bool]] = {
    "CN": check.is_valid_resident_identity_number,
    "ES1": check.is_valid_dni,
    "ES2": check.is_valid_dni,
    "FR": check.is_valid_nir,
    "HK": check.is_valid_hkid,
    "HK2": check.is_valid_hkid,
    "IT": check.is_valid_codice_fiscale,
    "SG": check.is_valid_nric,
    "TW": check.is_valid_taiwan_id,
}
_PAN_OF_PERSON = re.compile(r"[A-Z]{3}P")  # the fourth letter is the kind of the holder
# The prefixes of national insurance numbers that are issued, with the space that follows.
_NINO_OF_PERSON = re.compile(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ")
_NEEDS_LABEL = frozenset({"HK2"})
_STRONG_SHAPES = frozenset({"CN", "ES1", "ES2", "FR", "HK", "IT", "SG"})
"""Found without a label under any name. The others have no check digits, or a shape that article numbers have."""
_SEPARATORS = re.compile(r"[^A-Za-z0-9]")
_DATE_IN_CODE = re.compile(r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$")  # LA20260411


def country_of(finding: Finding) -> str:
    """The code of the country of a finding of kind NATIONAL_ID."""
    return finding.why.removeprefix(f"{BASE64}-")[:2].upper()


def recognize_national_number(number: NumberCandidate) -> Recognition:
    """Kind, score and reason for a number of digits only, or None."""
    label = number.label_kind
    if label.startswith(_GENERAL_LABEL):
        return _recognize_labelled(number)
    distinctive = _FORMAT_BY_DISTINCTIVE_GROUPING.get(number.grouping)
    if distinctive is None or distinctive.is_valid is None or label == OTHER:
        return None
    if not distinctive.is_valid(number.digits) or not number.is_whole_value():
        return None
    return PIIKind.NATIONAL_ID, _SCORE_UNLABELLED, _reason(distinctive.country, is_valid=True)


def _recognize_labelled(number: NumberCandidate) -> Recognition:
    """Only an adjacent label of the country makes a number without right check digits one of that country."""
    is_general = number.label_kind == _GENERAL_LABEL
    by_label: Recognition = None
    if number.adjacent_label_kind and not is_general:
        by_label = (
            PIIKind.NATIONAL_ID,
            _SCORE_OTHER_FORM,
            _reason(number.label_kind.removeprefix(_LABEL_PREFIX), is_valid=False),
        )
    for each in _FORMATS_BY_LENGTH.get(len(number.digits), ()):
        if number.grouping not in each.groupings:
            continue
        is_valid = each.is_valid is not None and each.is_valid(number.digits)
        if is_general:
            if is_valid:
                return PIIKind.NATIONAL_ID, _SCORE_GENERAL_LABEL, _reason(each.country, is_valid=True)
        elif number.label_kind == _LABEL_PREFIX + each.country:
            if is_valid:
                return PIIKind.NATIONAL_ID, _SCORE_LABELLED, _reason(each.country, is_valid=True)
            if number.adjacent_label_kind:
                by_label = PIIKind.NATIONAL_ID, _SCORE_LABEL_ALONE, _reason(each.country, is_valid=False)
    return by_label


def _find_national_codes(source: LabelledText) -> Iterator[Finding]:
    """Numbers with letters. Without a label they are in capitals, valid, and not a part of something else."""
    for match in _CODE.finditer(source.text):
        shape = match.lastgroup or ""
        country = shape[:2]
        compact = _SEPARATORS.sub("", match.group()).upper()
        is_valid = shape in _IS_VALID_CODE and _IS_VALID_CODE[shape](compact)
        score = _score_of_code(source, match, shape, is_valid=is_valid)
        if score:
            yield Finding(PIIKind.NATIONAL_ID, *match.span(), score, _reason(country, is_valid=is_valid))


def _score_of_code(source: LabelledText, match: re.Match[str], shape: str, *, is_valid: bool) -> float:
    """The score by the label beside a code, or 0 if the code is not a national id."""
    start, end = match.span()
    label = source.label_of(start, end)
    is_labelled = label.kind == _LABEL_PREFIX + shape[:2] or (shape == "IN" and label.kind == PIIKind.CREDIT_CARD)
    if is_labelled or label.kind == _GENERAL_LABEL:
        if is_valid:
            return _SCORE_LABELLED if is_labelled else _SCORE_GENERAL_LABEL
        is_certain = label.adjacent_kind and (is_labelled or shape not in _NEEDS_LABEL)
        return _SCORE_LABEL_ALONE if is_certain else 0
    if label.kind == OTHER or not _needs_no_label(match, shape, is_valid=is_valid):
        return 0
    has_weak_shape = shape not in _STRONG_SHAPES
    if has_weak_shape and _DATE_IN_CODE.search(match.group()):
        return 0
    if is_in_path_or_url(source.text, start, end) or (has_weak_shape and has_specific_name_before(source.text, start)):
        return 0
    return _SCORE_UNLABELLED


def _needs_no_label(match: re.Match[str], shape: str, *, is_valid: bool) -> bool:
    """Whether the shape alone is enough: valid check digits, a PAN of a person, a NINO with its spaces."""
    written = match.group()
    if written != written.upper() or shape in _NEEDS_LABEL:
        return False
    if shape == "GB":
        return _NINO_OF_PERSON.match(written) is not None
    return is_valid or (shape == "IN" and _PAN_OF_PERSON.match(written) is not None)


def _reason(country: str, *, is_valid: bool) -> str:
    return f"{country.lower()}-{'check-digit' if is_valid else 'label'}"


NATIONAL_CODES = Rule(_CODE_GATE, _find_national_codes)
