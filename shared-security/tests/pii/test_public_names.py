"""Names of historical persons, brands and works stay readable, unless the configuration asks for strictness."""

import pytest

from security_common.pii import PIIDetector, PIIKind, get_pii_detector
from security_common.pii.configuration import PIIConfiguration
from security_common.pii.configuration_file import parse_configuration

PUBLIC_NAMES = [
    "안중근 의사 기념관 휴관일 알려줘",
    "안중근 의사 기념 메달은 한정 수량으로 판매합니다",
    "이순신 장군 동상 앞에서 만나요",
    "이순신 평전 2권",
    "세종대왕 탄신일",
    "윤봉길로 10",
    "유관순 열사의 생가",
    "아인슈타인의 상대성 이론",
    "김구재단 장학금",
    "박정희 대통령 기념도서관",
    "브랜드관: 폴 스미스, 랄프 로렌, 마크 제이콥스",
    "마리 퀴리 과학 키트",
    "Albert Einstein published four papers in 1905.",
    "Martin Luther King Jr. Boulevard is closed downtown",
    "The Marie Curie science kit is back in stock.",
    "Ralph Lauren Oxford shirt, size M",
    "Tory Burch totes, Kate Spade wallets and Calvin Klein basics",
    "Wells Fargo, Goldman Sachs and Morgan Stanley",
    "Johnson & Johnson vaccine",
    "the Dr. Martens x Paul Smith drop on Friday",
    "Jane Austen gift set",
    "Harry Potter and the chamber",
    "Isaac Newton Award",
]
PRODUCTS = [
    '{"product":{"name":"소피아 원목 식탁","sku":"PB-1756"}}',
    '{"name":"Charlotte Wrap Dress"}',
    '{"name":"Oxford Linen Shirt"}',
    "Savannah Sofa Bed",
    "QP-4853-YF0,Marie Rose Sauce,689.99,120",
    "MN-5939-FP8,Oliver Chopping Board,811.00,14",
    "VP-9645-NI9,Lincoln Lamp,115.95,3",
    "Newton Kettle",
    "Nobel Blend Coffee",
    "은수네 과수원",
    "왕복 배송비 6,000원은 고객님 부담입니다",
    "상담원: 무엇을 도와드릴까요",
    "김가네 김밥",
]
PRIVATE_PERSONS = [
    ("고객명: 이순신", "이순신"),
    ("안중근님 010-0000-0000", "안중근"),
    ("예금주 안창호", "안창호"),
    ("customer name: Paul Smith", "Paul Smith"),
    ("Mr. Paul Smith called", "Paul Smith"),
]


@pytest.mark.parametrize("text", PUBLIC_NAMES + PRODUCTS)
def test_public_names_and_products_stay_readable(text: str) -> None:
    found = get_pii_detector().scan_text(text)

    assert [finding for finding in found if finding.kind == PIIKind.PERSON] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("안중근 의사 기념관", "안중근"),
        ("Ralph Lauren shirt", "Ralph Lauren"),
        ("Albert Einstein wrote", "Albert Einstein"),
    ],
)
def test_the_configuration_can_ask_for_public_names(text: str, name: str) -> None:
    strict = PIIDetector(PIIConfiguration(find_public_names=True))

    assert [text[finding.start : finding.end] for finding in strict.scan_text(text)] == [name]


def test_a_part_of_a_public_name_is_not_another_place_of_a_name() -> None:
    text = "Isaac Tibbetts called on Monday. Isaac Newton published his theory. Then Isaac paid."
    found = get_pii_detector().scan_text(text)

    assert [text[each.start : each.end] for each in found] == ["Isaac Tibbetts", "Isaac"]
    assert found[1].start == text.rindex("Isaac")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("홍길동 AB형", "홍길동"),
        ("환자명 홍길동 AB형", "홍길동"),
        ("Mary Henderson, NV 89101", "Mary Henderson"),
        ("Contact: Mary Henderson SGA", "Mary Henderson"),
    ],
)
def test_letters_behind_a_name_are_not_always_the_form_of_a_company(text: str, name: str) -> None:
    found = get_pii_detector().scan_text(text)

    assert name in [text[finding.start : finding.end] for finding in found if finding.kind == PIIKind.PERSON]


@pytest.mark.parametrize("text", ["Zahnrad Keller AG", "Supplier: Henderson B.V. in Utrecht", "John Smith S.A. Madrid"])
def test_names_of_companies_are_not_those_of_persons(text: str) -> None:
    found = get_pii_detector().scan_text(text)

    assert [finding for finding in found if finding.kind == PIIKind.PERSON] == []


@pytest.mark.parametrize(("text", "name"), PRIVATE_PERSONS)
def test_evidence_of_a_private_person_counts_more_than_the_list(text: str, name: str) -> None:
    found = get_pii_detector().scan_text(text)

    assert name in [text[finding.start : finding.end] for finding in found if finding.kind == PIIKind.PERSON]


def test_the_entry_of_the_file_is_read() -> None:
    assert parse_configuration({"find_public_names": True}).find_public_names
    assert not parse_configuration({}).find_public_names
