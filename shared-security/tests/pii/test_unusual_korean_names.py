"""Korean names with rare surnames or unusual syllables, and other words at the same places."""

import pytest
from marked_texts import persons


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("두만석 과장이 회신함", "두만석"),
        ("대성스프링 궁예찬 차장: 7월부터 5톤 2대", "궁예찬"),
        ("1/23 차새론 고객 반납 지연", "차새론"),
        ("삼순녀 611102-2284239 추가", "삼순녀"),
        ("DuplicateMember: ('진선규민', '010-5447-3573')", "진선규민"),
        ("하율(남, 2015-04-02) 결석", "하율"),
        ("7/3 디럭스 트윈 예약한 국이레입니다.", "국이레"),
        ("저는 두만석이고요, 어른 18 아이 5요", "두만석"),
        ("법인카드 사용자 궁예찬 승인 40177305", "궁예찬"),
        ("차주분(복진철) 동의 받고 교체", "복진철"),
        ("통관 보류 – 섭지현, 전화번호 불일치", "섭지현"),
        ("invalid licence for renter '감우준'", "감우준"),
    ],
)
def test_the_words_around_show_a_name(text: str, name: str) -> None:
    assert persons(text) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "새로운 고객 만족도 조사",
        "우수한 사원 선발",
        "신규 고객 유치, 일반 회원 등급, 정비 기사 배정",
        "하늘마트 판교점 대표 상품",
        "이 번호로 문자줘 01054702315",
        "고객 서비스(02-555-1234), 학생 할인(30%)",
        "회원 전용관, 독자 여러분, 차주 확인서(필수)",
        "1) 주문서, 2) 이력서 - 사진",
        "상기 환자 금일 내원",
        "지하철 - 강남역, 버스",
    ],
)
def test_other_words_at_the_same_places(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dear Urs,\nplease find the report attached.", "Urs"),
        ("Danke.\n\nMit freundlichen Grüßen\nFriedhelm Zöllner\nLindenallee 14", "Friedhelm Zöllner"),
        ("See you.\n\nB/R\nTtukttak", "Ttukttak"),
    ],
)
def test_salutations_and_closings_of_letters(text: str, name: str) -> None:
    assert persons(text) == [name]


@pytest.mark.parametrize(
    "text", ["Dear Sirs,\nWe act for the tenant.", "Hi Team,\nthe build is green.", "Dear Customer,\nthank you."]
)
def test_salutations_without_a_name(text: str) -> None:
    assert persons(text) == []
