"""Korean postal addresses: from province or road to room, post boxes, and the last part of an address in its field."""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.labels import LabelledText
from security_common.pii.rules import Rule
from security_common.pii.word_lists import any_word, read_lists

__all__ = ["KOREAN_ADDRESSES", "find_address_in_field", "trimmed_end"]

_WORDS = read_lists("address_words")
_LABEL_GAP = r"(?:은|는|가|이)?[\s:=\-\"'\[(|>]{0,5}"

_PROVINCE = any_word(_WORDS["provinces"])
_DISTRICT = any_word(_WORDS["districts"])
_BUILDING = any_word(_WORDS["buildings"])
_SPACE = r"[ \t]{0,2}"
_HOUSE_NUMBER = r"(?:지하\s?)?[0-9]{1,5}(?:\s?-\s?[0-9]{1,4})?(?:\s?번지)?"
_NOT_A_QUANTITY = (
    r"(?![0-9]|\s?%|\s?(?:번\s?출구|번째|번\s?버스|시간|분기|개월|만원|호선)"
    r"|\s?(?:원|명|개|년|월|일|시|분|초|만|배|회|점|차|대|곳|주|칸|쪽|장)(?:[은는이가을를의도로에씩쯤]|간|에서|부터|까지|으로)?(?![가-힣]))"
)
# 테헤란로 152, 불당25로 10, 사직로8길 3
_ROAD = rf"[가-힣0-9·.]{{1,12}}?(?:대로|로|길)(?:\s?[0-9]{{1,4}}[번가나다라바]?길)?\s?{_HOUSE_NUMBER}{_NOT_A_QUANTITY}"
# 역삼동 123-4, 동인동2가 5, 우두리 산 10; not 101동 3층
_LOT = (
    r"(?:[가-힣]{1,6}[0-9]?(?:동|가|리)|[가-힣]{1,5}[0-9]가|[가-힣]{1,5}동[0-9]가)"
    rf"\s{_SPACE}(?:산\s?)?{_HOUSE_NUMBER}{_NOT_A_QUANTITY}"
    r"(?!\s?(?:층|호|동))"
)
_NAME_OF_PLACE = r"(?:[가-힣A-Za-z0-9·]{2,14}[ ]){0,2}"
# 6단지 604동 1101호, 지하 1층, 3층 302호, B동, A-302호; not 2호선
_UNIT = (
    r"(?:[0-9]{1,2}[ ]?단지(?:[ ]?아파트)?(?:[ ]?[0-9]{1,4}[ ]?동)?(?:[ ]?[0-9]{1,5}[ ]?호)?"
    r"|(?:제?[0-9]{1,4}|[A-Z가나다라마바])[ ]?동(?:[ ]?[0-9]{1,3}[ ]?층)?(?:[ ]?[A-Z]?[0-9]{1,5}[ ]?호)?"
    r"|(?:지하|지상|B)?[ ]?[0-9]{1,3}[ ]?층(?:[ ]?[A-Z]?-?[0-9]{1,5}[ ]?호)?"
    r"|(?:지하[ ]?)?[A-Za-z]?-?[0-9]{1,5}(?:-[0-9]{1,5})?[ ]?호(?!선))"
)
_DETAIL = (
    r"(?:[ \t]{0,2},?[ \t]{0,2}(?:"
    # (역삼동, 한빛빌딩)
    r"\([가-힣0-9A-Za-z,·\s]{1,30}\)"
    rf"|{_NAME_OF_PLACE}{_UNIT}"
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
    rf"{_LABEL_GAP}(?!으로)((?:{_ROAD}|{_LOT}|{_AREA}[가-힣0-9 \-,]{{2,30}}[0-9]){_DETAIL}{{0,5}})"
)
# The last part of an address alone in its field: 오피스텔 911호
_LABELLED_DETAIL = re.compile(rf"{_LABEL_GAP}({_NAME_OF_PLACE}{_UNIT}{_DETAIL}{{0,2}})(?=[\"'\n,;|)\]}}\t]|\s*$)")
# 은행마을 407동 1002호, without an area: a block and a flat of three or four digits
_COMPLEX = rf"(?:[가-힣A-Za-z0-9]{{1,12}}?(?:마을|단지|주공|타운|{_BUILDING})[ ]?)"
_FLAT = re.compile(
    rf"(?<![가-힣A-Za-z0-9\-]){_COMPLEX}?[1-9][0-9]{{2,3}}[ ]?동[ ]?(?:지하[ ]?)?[0-9]{{3,4}}[ ]?호"
    r"(?![0-9]|[기실차선점])"
)
# 사서함 76-8호 3중대, with an area or a post office in front
_POST_OFFICE_BOX = re.compile(
    rf"(?<![가-힣0-9])(?:{_AREA})?(?:[가-힣]{{2,6}}우체국[ ])?사서함[ ]?제?[0-9]{{1,4}}(?:-[0-9]{{1,4}})?(?:[ ]?호)?"
    r"(?:[ ][0-9]{1,4}(?:사단|여단|연대|대대|중대|소대|부대)){0,3}"
)


def _find_korean_addresses(source: LabelledText) -> Iterator[Finding]:
    """A road or lot with a house number, in a region or with a unit number. With a label, the region may be missing."""
    text = source.text
    for match in _KOREAN_ADDRESS.finditer(text):
        yield Finding(PIIKind.ADDRESS, match.start(), trimmed_end(text, *match.span()), 0.94, "region")
    if "동" in text and "호" in text:
        for match in _FLAT.finditer(text):
            yield Finding(PIIKind.ADDRESS, *match.span(), 0.8, "flat")
    if "사서함" in text:
        for match in _POST_OFFICE_BOX.finditer(text):
            yield Finding(PIIKind.ADDRESS, *match.span(), 0.93, "region")
    for label in source.labels.of_kind("ADDRESS"):
        match = _LABELLED_KOREAN_ADDRESS.match(text, label.end) or _LABELLED_DETAIL.match(text, label.end)
        if match is not None:
            yield Finding(PIIKind.ADDRESS, match.start(1), trimmed_end(text, *match.span(1)), 0.9, "label")


# In a field for addresses: 07-3 and 106-0903, a Korean place with a number, a house number before a street.
_NUMBER_OF_PLACE = re.compile(r"[0-9]{1,4}-[0-9]{1,5}")
_PLACE_WITH_NUMBER = re.compile(
    r"(?=[^0-9]*[0-9])(?=[^\n]*?[가-힣](?:로|길|동|리|읍|면|시|군|구|호|층|번지|가|도)(?![가-힣]))"
    r"[가-힣A-Za-z0-9 ,.()\-·~]{4,100}"
)
_DONG_OR_HO = re.compile(r"(?:반?지하[ ]?)?[A-Z]?[0-9]{1,5}[ ]?[동호](?:[ ]?[A-Z]?[0-9]{1,5}[ ]?호)?")
_HOUSE_BEFORE_STREET = re.compile(
    r"[0-9]{1,5}[A-Za-z]?(?:[-/][0-9]{1,4})?(?:[ ][A-ZÀ-Þ][A-Za-zÀ-ÿ'’.\-]{1,20}){2,5}(?:,[ ]?[^\n:{}<>@]{1,80})?"
)
_FORMS_IN_FIELD = (_NUMBER_OF_PLACE, _PLACE_WITH_NUMBER, _DONG_OR_HO, _HOUSE_BEFORE_STREET)
_MAX_LENGTH_IN_FIELD = 120
_ENDINGS_OF_SENTENCES = ("다", "요", "함", "음", "다.", "요.")


def find_address_in_field(value: str) -> Iterator[Finding]:
    """The whole value of a field for addresses if it has a place and a number, also without a region."""
    written = value.strip()
    if len(written) > _MAX_LENGTH_IN_FIELD or written.endswith(_ENDINGS_OF_SENTENCES):
        return
    if any(form.fullmatch(written) for form in _FORMS_IN_FIELD):
        start = value.index(written)
        yield Finding(PIIKind.ADDRESS, start, start + len(written), 0.8, "field")


def trimmed_end(text: str, start: int, end: int) -> int:
    """The end of an address without the separators behind it."""
    return start + len(text[start:end].rstrip(" ,.(\t"))


KOREAN_ADDRESSES = Rule(
    r"[0-9]\s?[호층]|[로길동리가면읍][ \t]{0,2}(?:지하\s?|산\s?)?[0-9]|사서함", _find_korean_addresses
)
