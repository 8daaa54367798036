"""Postal addresses: Korean ones from province or road down to the room, English ones from house number to postcode."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.reading import Reading, Rule
from security_common.pii.word_lists import any_of, table

__all__ = ["ENGLISH_ADDRESSES", "KOREAN_ADDRESSES"]

_REGIONS = table("address_words")

_PROVINCE = any_of(_REGIONS["provinces"])
_DISTRICT = any_of(_REGIONS["districts"])
_S = r"[ \t]{0,2}"
_HOUSE = r"(?:지하\s?)?[0-9]{1,5}(?:\s?-\s?[0-9]{1,4})?(?:\s?번지)?"
_NOT_COUNTED = r"(?![0-9]|\s?(?:원|명|개|년|월|시|분|%|만|배|회|점|차|대|호선|번\s?출구))"
_ROAD = rf"[가-힣0-9·.]{{1,12}}?(?:대로|로|길)(?:\s?[0-9]{{1,4}}[번가나다라바]?길)?\s?{_HOUSE}{_NOT_COUNTED}"
_LOT = (
    rf"(?:[가-힣]{{1,6}}[0-9]?(?:동|가|리)|[가-힣]{{1,5}}[0-9]가|[가-힣]{{1,5}}동[0-9]가)\s{_S}(?:산\s?)?{_HOUSE}{_NOT_COUNTED}"
    r"(?!\s?(?:층|호|동))"
)
_BUILDING = any_of(_REGIONS["buildings"])
_DETAIL = (
    r"(?:[ \t]{0,2},?[ \t]{0,2}(?:\([가-힣0-9A-Za-z,·\s]{1,30}\)"
    r"|(?:지하|B)?\s?[0-9]{1,3}\s?층(?:\s?[0-9]{1,4}호)?"
    r"|(?:제?[0-9]{1,4}|[A-Z가나다라마바])\s?동(?:\s?[0-9]{1,5}\s?호)?|[A-Za-z]?-?[0-9]{1,5}\s?호(?!선)"
    rf"|[가-힣A-Za-z0-9·]{{0,14}}{_BUILDING}(?:\s?[0-9]{{1,4}}\s?(?:동|차)(?:\s?[0-9]{{1,5}}\s?호)?)?"
    r"|[0-9]{1,4}-[0-9]{1,5}(?![0-9\-])))"
)
_AREA = (
    rf"(?:{_PROVINCE}{_S}(?:[가-힣]{{1,6}}(?:시|군|구){_S}){{0,2}}|(?:{_DISTRICT}{_S}){{1,2}})"
    rf"(?:[가-힣0-9]{{1,8}}(?:읍|면|동){_S})?(?:[가-힣0-9]{{1,8}}리{_S})?"
)
_NAMED = rf"[가-힣A-Za-z0-9]{{1,12}}?{_BUILDING}{_S}(?:[0-9]{{1,4}}동{_S}[0-9]{{1,5}}호|[0-9]{{1,3}}층)"
_COMPLEX = rf"(?:[가-힣A-Za-z0-9]{{1,12}}{_S}){{1,3}}?[0-9]{{1,4}}동{_S}[0-9]{{1,4}}호"
_KOREAN = re.compile(
    rf"(?<![가-힣0-9])(?:{_AREA}(?:{_LOT}|{_ROAD}|(?<=[동리])\s?{_HOUSE}(?![0-9가])|{_NAMED}|{_COMPLEX})|{_NAMED}(?<=호)"
    rf"|(?:{_ROAD}|{_LOT})(?={_DETAIL})){_DETAIL}{{0,5}}"
)
_GAP = r"(?:은|는|가|이)?[\s:=\-\"'\[(|>]{0,5}+"
_LABELLED_KOREAN = re.compile(rf"{_GAP}((?:{_ROAD}|{_LOT}|{_AREA}[가-힣0-9 \-,]{{2,30}}[0-9]){_DETAIL}{{0,5}})")

_STREET_TYPE = any_of(_REGIONS["street_types"])
_KOREAN_ROAD = r"[A-Z][A-Za-z]+(?:-?(?:daero|ro|gil))(?:[ ]?[0-9]{1,3}(?:beon)?-?gil)?"
_UNIT = (
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|Bldg|Building|No)\.?[ ]?#?[A-Za-z0-9\-]{1,6}"
    r"|,?[ ]#[ ]?[A-Za-z0-9\-]{1,6}|,[ ][0-9]{1,2}(?:st|nd|rd|th)[ ][Ff]loor)"
)
_CITY = r"(?:,[ \n]?[A-Z][A-Za-z.'\-]+(?![A-Za-z0-9])(?:[ ](?:of|(?:[A-Z][A-Za-z.'\-]+))(?![A-Za-z0-9])){0,3})"
_UPPER, _LOWER = "[A-ZÀ-Þ]", r"[A-Za-zß-ÿ'\-]"
_WORDS = rf"(?:[ ]{any_of(_REGIONS['street_particles'])}){{0,2}}(?:[ ']?{_UPPER}{_LOWER}+){{1,3}}"
_FRENCH, _ROMANCE, _GERMANIC = (any_of(_REGIONS[f"{name}_streets"]) for name in ("french", "romance", "germanic"))
_EUROPEAN = (
    rf"(?:[0-9]{{1,4}}(?:[ ]?(?:bis|ter|[a-z]))?,?[ ]{_FRENCH}{_WORDS}"
    rf"|{_ROMANCE}{_WORDS},?[ ][0-9]{{1,4}}[a-z]?"
    rf"|{_UPPER}{_LOWER}{{2,20}}(?:[ -]{_UPPER}{_LOWER}{{1,15}}){{0,2}}[ -]?{_GERMANIC}[ ]"
    r"[0-9]{1,4}[ ]?[a-z]?(?![A-Za-z]))"
)
_POSTCODE = (
    r"(?:,?[ ](?:[0-9]{4,5}[ ](?:[A-Z]{2}[ ])?[A-ZÀ-Þ][A-Za-zß-ÿ\-]+(?:[ ][A-Z][a-zß-ÿ]+)?"
    r"|[A-Z]{2}[ ][0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]?[ ][0-9][A-Z]{2}"
    r"|[A-Z]{2}(?:[ ][A-Z][0-9][A-Z][ ][0-9][A-Z][0-9])?|[0-9]{5}(?:-[0-9]{4})?)(?![A-Za-z0-9]))"
)
_ENGLISH = re.compile(
    r"(?<![0-9A-Za-z#.\-])(?:#?[0-9]{1,5}[ ]?,[ ]|(?:Apt|Flat|Unit|Suite|Room)\.?[ ][A-Za-z0-9\-]{1,6},[ ])?(?:"
    r"[0-9]{1,6}[A-Za-z]?(?:-[0-9]{1,4})?,?[ ](?:[NSEW]\.?[ ]|North[ ]|South[ ]|East[ ]|West[ ])?"
    rf"(?:(?:[A-Z][A-Za-z'.]+|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}{_STREET_TYPE}\.?(?![A-Za-z])"
    r"(?:[ ](?:N|S|E|W|NE|NW|SE|SW)(?![A-Za-z]))?"
    rf"|{_EUROPEAN}|[0-9]{{1,2}}(?:-[0-9]{{1,3}}){{2}},?[ ][A-Z][a-z]+(?:-[A-Z]?[a-z]+)?"
    rf"|[0-9]{{1,5}}(?:-[0-9]{{1,4}})?,?[ ]{_KOREAN_ROAD}|[0-9]{{1,5}}[ ]Broadway|P\.?[ ]?O\.?[ ]Box[ ][0-9]{{1,6}})"
    rf"{_UNIT}?(?:{_CITY}){{0,3}}{_POSTCODE}?(?:{_CITY})?{_POSTCODE}?"
)
_NAME = r"[A-ZÀ-Þ0-9#][A-Za-z0-9À-ž.'#/\-]{0,24}"
_LABELLED_ABROAD = re.compile(
    rf"{_GAP}(?=[^,\n]{{1,60}},)({_NAME}"
    rf"(?:,?[ ](?:{_NAME}|{any_of(_REGIONS['street_particles'])})(?![A-Za-z])){{2,14}})"
)
_HAS_NUMBER = re.compile(r"(?<![0-9.\-])[0-9]{1,6}[A-Za-z]?(?:-[0-9]+)*(?![0-9:])")


def _find_korean_addresses(reading: Reading) -> Iterator[Finding]:
    """A road or a lot with a house number, below a region or with a room; under a label the region may miss."""
    text = reading.text
    for match in _KOREAN.finditer(text):
        yield Finding(PIIKind.ADDRESS, match.start(), _trimmed(text, *match.span()), 0.94, "region")
    for label in reading.labels.named("ADDRESS"):
        if match := _LABELLED_KOREAN.match(text, label.end):
            yield Finding(PIIKind.ADDRESS, match.start(1), _trimmed(text, *match.span(1)), 0.9, "label")


def _find_english_addresses(reading: Reading) -> Iterator[Finding]:
    """A house number, a street and its type; unit, city, state and postcode as far as they follow.

    Under a label every capitalised word and number in a row, in whatever order its country writes them.
    """
    text = reading.text
    for label in reading.labels.named("ADDRESS"):
        match = _LABELLED_ABROAD.match(text, label.end)
        if match is not None and _HAS_NUMBER.search(match.group(1)):
            yield Finding(PIIKind.ADDRESS, match.start(1), _trimmed(text, *match.span(1)), 0.95, "label")
    for match in _ENGLISH.finditer(text):
        yield Finding(PIIKind.ADDRESS, match.start(), _trimmed(text, *match.span()), 0.94, "street")


def _trimmed(text: str, start: int, end: int) -> int:
    return start + len(text[start:end].rstrip(" ,.(\t"))


KOREAN_ADDRESSES = Rule(r"[0-9]\s?[호층]|[로길동리가면읍][ \t]{0,2}(?:지하\s?|산\s?)?[0-9]", _find_korean_addresses)
ENGLISH_ADDRESSES = Rule(
    rf"[0-9][A-Za-z]?,? [A-Z0-9][A-Za-z0-9.]|Box [0-9]|[0-9],? {_FRENCH} |{_GERMANIC} [0-9]|{_ROMANCE} ",
    _find_english_addresses,
)
