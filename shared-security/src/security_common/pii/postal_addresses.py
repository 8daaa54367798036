"""Postal addresses: Korean ones from province or road to room, others from house number and street to postcode."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, read_lists

__all__ = ["FOREIGN_ADDRESSES", "KOREAN_ADDRESSES"]

_WORDS = read_lists("address_words")
_LABEL_GAP = r"(?:은|는|가|이)?[\s:=\-\"'\[(|>]{0,5}+"

# --- Korean addresses

_PROVINCE = any_word(_WORDS["provinces"])
_DISTRICT = any_word(_WORDS["districts"])
_BUILDING = any_word(_WORDS["buildings"])
_SPACE = r"[ \t]{0,2}"
_HOUSE_NUMBER = r"(?:지하\s?)?[0-9]{1,5}(?:\s?-\s?[0-9]{1,4})?(?:\s?번지)?"
_NOT_A_QUANTITY = r"(?![0-9]|\s?(?:원|명|개|년|월|시|분|%|만|배|회|점|차|대|호선|번\s?출구))"
# 테헤란로 152, 불당25로 10, 사직로8길 3
_ROAD = rf"[가-힣0-9·.]{{1,12}}?(?:대로|로|길)(?:\s?[0-9]{{1,4}}[번가나다라바]?길)?\s?{_HOUSE_NUMBER}{_NOT_A_QUANTITY}"
# 역삼동 123-4, 동인동2가 5, 우두리 산 10; not 101동 3층
_LOT = (
    r"(?:[가-힣]{1,6}[0-9]?(?:동|가|리)|[가-힣]{1,5}[0-9]가|[가-힣]{1,5}동[0-9]가)"
    rf"\s{_SPACE}(?:산\s?)?{_HOUSE_NUMBER}{_NOT_A_QUANTITY}"
    r"(?!\s?(?:층|호|동))"
)
_DETAIL = (
    r"(?:[ \t]{0,2},?[ \t]{0,2}(?:"
    # (역삼동, 한빛빌딩)
    r"\([가-힣0-9A-Za-z,·\s]{1,30}\)"
    # 지하 1층, 3층 302호
    r"|(?:지하|B)?\s?[0-9]{1,3}\s?층(?:\s?[0-9]{1,4}호)?"
    # 101동 1502호, B동, A-302호; not 2호선
    r"|(?:제?[0-9]{1,4}|[A-Z가나다라마바])\s?동(?:\s?[0-9]{1,5}\s?호)?|[A-Za-z]?-?[0-9]{1,5}\s?호(?!선)"
    # 래미안아파트 101동 1502호
    rf"|[가-힣A-Za-z0-9·]{{0,14}}{_BUILDING}(?:\s?[0-9]{{1,4}}\s?(?:동|차)(?:\s?[0-9]{{1,5}}\s?호)?)?"
    # 101-1502
    r"|[0-9]{1,4}-[0-9]{1,5}(?![0-9\-])))"
)
# 경기도 성남시 분당구, 강남구, then 서종면 문호리
_AREA = (
    rf"(?:{_PROVINCE}{_SPACE}(?:[가-힣]{{1,6}}(?:시|군|구){_SPACE}){{0,2}}|(?:{_DISTRICT}{_SPACE}){{1,2}})"
    rf"(?:[가-힣0-9]{{1,8}}(?:읍|면|동){_SPACE})?(?:[가-힣0-9]{{1,8}}리{_SPACE})?"
)
# 한빛빌딩 3층, 현대아파트 101동 1502호
_NAMED_BUILDING = (
    rf"[가-힣A-Za-z0-9]{{1,12}}?{_BUILDING}{_SPACE}(?:[0-9]{{1,4}}동{_SPACE}[0-9]{{1,5}}호|[0-9]{{1,3}}층)"
)
# 마을 이름 101동 1502호
_APARTMENT_COMPLEX = rf"(?:[가-힣A-Za-z0-9]{{1,12}}{_SPACE}){{1,3}}?[0-9]{{1,4}}동{_SPACE}[0-9]{{1,4}}호"
_KOREAN_ADDRESS = re.compile(
    r"(?<![가-힣0-9])(?:"
    # an area and a place in it
    rf"{_AREA}(?:{_LOT}|{_ROAD}|(?<=[동리])\s?{_HOUSE_NUMBER}(?![0-9가])|{_NAMED_BUILDING}|{_APARTMENT_COMPLEX})"
    # without an area: a building with a unit number
    rf"|{_NAMED_BUILDING}(?<=호)"
    # without an area: a road or a lot, if a detail such as a floor follows
    rf"|(?:{_ROAD}|{_LOT})(?={_DETAIL})"
    rf"){_DETAIL}{{0,5}}"
)
_LABELLED_KOREAN_ADDRESS = re.compile(
    rf"{_LABEL_GAP}((?:{_ROAD}|{_LOT}|{_AREA}[가-힣0-9 \-,]{{2,30}}[0-9]){_DETAIL}{{0,5}})"
)

# --- other addresses

_STREET_TYPE = any_word(_WORDS["street_types"])
_STREET_PARTICLE = any_word(_WORDS["street_particles"])
_FRENCH_STREET, _ROMANCE_STREET, _GERMANIC_STREET = (
    any_word(_WORDS[f"{language}_streets"]) for language in ("french", "romance", "germanic")
)
# Teheran-ro, Sajik-ro 8-gil
_ROMANISED_KOREAN_ROAD = r"[A-Z][A-Za-z]+(?:-?(?:daero|ro|gil))(?:[ ]?[0-9]{1,3}(?:beon)?-?gil)?"
_UNIT = (
    # Apt 4B, Suite #200
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|Bldg|Building|No)\.?[ ]?#?[A-Za-z0-9\-]{1,6}"
    # #12; 3rd floor
    r"|,?[ ]#[ ]?[A-Za-z0-9\-]{1,6}|,[ ][0-9]{1,2}(?:st|nd|rd|th)[ ][Ff]loor)"
)
_CITY = r"(?:,[ \n]?[A-Z][A-Za-z.'\-]+(?![A-Za-z0-9])(?:[ ](?:of|(?:[A-Z][A-Za-z.'\-]+))(?![A-Za-z0-9])){0,3})"
_UPPER, _LOWER = "[A-ZÀ-Þ]", r"[A-Za-zß-ÿ'\-]"
_STREET_NAME = rf"(?:[ ]{_STREET_PARTICLE}){{0,2}}(?:[ ']?{_UPPER}{_LOWER}+){{1,3}}"
_EUROPEAN_STREET = (
    # 45 bis, Rue de Rivoli
    rf"(?:[0-9]{{1,4}}(?:[ ]?(?:bis|ter|[a-z]))?,?[ ]{_FRENCH_STREET}{_STREET_NAME}"
    # Calle de Alcalá, 12
    rf"|{_ROMANCE_STREET}{_STREET_NAME},?[ ][0-9]{{1,4}}[a-z]?"
    # Friedrichstraße 43
    rf"|{_UPPER}{_LOWER}{{2,20}}(?:[ -]{_UPPER}{_LOWER}{{1,15}}){{0,2}}[ -]?{_GERMANIC_STREET}[ ]"
    r"[0-9]{1,4}[ ]?[a-z]?(?![A-Za-z]))"
)
_POSTCODE = (
    # 75001 Paris; 1012 AB Amsterdam
    r"(?:,?[ ](?:[0-9]{4,5}[ ](?:[A-Z]{2}[ ])?[A-ZÀ-Þ][A-Za-zß-ÿ\-]+(?:[ ][A-Z][a-zß-ÿ]+)?"
    # DC 20500; SW1A 2AA
    r"|[A-Z]{2}[ ][0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]?[ ][0-9][A-Z]{2}"
    # ON K1A 0B1; 20500
    r"|[A-Z]{2}(?:[ ][A-Z][0-9][A-Z][ ][0-9][A-Z][0-9])?|[0-9]{5}(?:-[0-9]{4})?)(?![A-Za-z0-9]))"
)
_FOREIGN_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z#.\-])"
    # a unit in front: Apt 4B,
    r"(?:#?[0-9]{1,5}[ ]?,[ ]|(?:Apt|Flat|Unit|Suite|Room)\.?[ ][A-Za-z0-9\-]{1,6},[ ])?(?:"
    # 1600 N. Pennsylvania Avenue NW
    r"[0-9]{1,6}[A-Za-z]?(?:-[0-9]{1,4})?,?[ ](?:[NSEW]\.?[ ]|North[ ]|South[ ]|East[ ]|West[ ])?"
    rf"(?:(?:[A-Z][A-Za-z'.]+|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}{_STREET_TYPE}\.?(?![A-Za-z])"
    r"(?:[ ](?:N|S|E|W|NE|NW|SE|SW)(?![A-Za-z]))?"
    rf"|{_EUROPEAN_STREET}"
    # 2-8-1 Nishi-Shinjuku
    r"|[0-9]{1,2}(?:-[0-9]{1,3}){2},?[ ][A-Z][a-z]+(?:-[A-Z]?[a-z]+)?"
    rf"|[0-9]{{1,5}}(?:-[0-9]{{1,4}})?,?[ ]{_ROMANISED_KOREAN_ROAD}"
    r"|[0-9]{1,5}[ ]Broadway|P\.?[ ]?O\.?[ ]Box[ ][0-9]{1,6})"
    rf"{_UNIT}?(?:{_CITY}){{0,3}}{_POSTCODE}?(?:{_CITY})?{_POSTCODE}?"
)
_CAPITALISED_OR_NUMBER = r"[A-ZÀ-Þ0-9#][A-Za-z0-9À-ž.'#/\-]{0,24}"
_LABELLED_FOREIGN_ADDRESS = re.compile(
    rf"{_LABEL_GAP}(?=[^,\n]{{1,60}},)"  # an address has a comma
    rf"({_CAPITALISED_OR_NUMBER}(?:,?[ ](?:{_CAPITALISED_OR_NUMBER}|{_STREET_PARTICLE})(?![A-Za-z])){{2,14}})"
)
_HAS_HOUSE_NUMBER = re.compile(r"(?<![0-9.\-])[0-9]{1,6}[A-Za-z]?(?:-[0-9]+)*(?![0-9:])")


def _find_korean_addresses(source: LabelledText) -> Iterator[Finding]:
    """A road or lot with a house number, in a region or with a unit number. With a label, the region may be missing."""
    text = source.text
    for match in _KOREAN_ADDRESS.finditer(text):
        yield Finding(PIIKind.ADDRESS, match.start(), _trimmed_end(text, *match.span()), 0.94, "region")
    for label in source.labels.of_kind("ADDRESS"):
        match = _LABELLED_KOREAN_ADDRESS.match(text, label.end)
        if match is not None:
            yield Finding(PIIKind.ADDRESS, match.start(1), _trimmed_end(text, *match.span(1)), 0.9, "label")


def _find_foreign_addresses(source: LabelledText) -> Iterator[Finding]:
    """A house number and a street; unit, city, state and postcode if they follow.

    With a label: capitalised words and numbers in a row, in any order, if one of them can be a house number.
    """
    text = source.text
    for label in source.labels.of_kind("ADDRESS"):
        match = _LABELLED_FOREIGN_ADDRESS.match(text, label.end)
        if match is not None and _HAS_HOUSE_NUMBER.search(match.group(1)):
            yield Finding(PIIKind.ADDRESS, match.start(1), _trimmed_end(text, *match.span(1)), 0.95, "label")
    for match in _FOREIGN_ADDRESS.finditer(text):
        yield Finding(PIIKind.ADDRESS, match.start(), _trimmed_end(text, *match.span()), 0.94, "street")


def _trimmed_end(text: str, start: int, end: int) -> int:
    return start + len(text[start:end].rstrip(" ,.(\t"))


KOREAN_ADDRESSES = Rule(r"[0-9]\s?[호층]|[로길동리가면읍][ \t]{0,2}(?:지하\s?|산\s?)?[0-9]", _find_korean_addresses)
FOREIGN_ADDRESSES = Rule(
    r"[0-9][A-Za-z]?,? [A-Z0-9][A-Za-z0-9.]|Box [0-9]"
    rf"|[0-9],? {_FRENCH_STREET} |{_GERMANIC_STREET} [0-9]|{_ROMANCE_STREET} ",
    _find_foreign_addresses,
)
