"""Korean names that are also words or have a rare form, found by the grammar around them, and other words there.

Brackets mark the expected persons.
"""

import pytest
from marked_texts import persons, without_marks

PERSONS = [
    "[라온]이가 토닥여 주었어요",
    "[가을]이한테도 전해 주세요",
    "[이슬] 환아 열경련",
    "[구름] 학생 조퇴",
    "저녁에 [여울] 어머니가 오심",
    "다음 주에 뵙겠습니다.\n[석란] 드림",
    "안녕하세요, 인사팀 [석란]입니다.",
    "합주실은 [탁윤] 이름으로 예약",
    "따님 [탁영] 연락 요망",
    "[여울] (27세, 여) 초진",
    "위임인 [노기완]\n수임인 [노을]\n위임사항",
    "담임 [안중만]",
    "어머니 [굴나라 아흐메도바] 연락처",
    "하차 [카리모프], 적재 불량",
]
OTHER_WORDS = [
    "교탁 앞 명단을 확인하세요",
    "사은품 드림",
    "안녕하세요, 고객센터입니다.",
    "안녕하세요, 택배 문의입니다.",
    "법인 명의로 등록",
    "아버지 상에 와 주셔서 감사합니다",
    "신입 학생 모집",
    "'하늘이에게'는 타이틀곡",
    "정원이 다 찼습니다",
    "신청인 본인\n보호자 동의",
    "오실로스코프와 카사노바, 와이어로프, 수상스키",
]


@pytest.mark.parametrize("marked", PERSONS)
def test_names_are_found_by_the_grammar_around_them(marked: str) -> None:
    text, expected = without_marks(marked)
    assert persons(text) == expected


@pytest.mark.parametrize("text", OTHER_WORDS)
def test_other_words_at_the_same_places_are_not_names(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("참석: 왕한결 과장\n한결이가 제안함", ["왕한결", "한결"]),
        ("김하늘 씨 예약.\n하늘님 오후 방문, 하늘이 맑다", ["김하늘", "하늘"]),
        ("도하민님 교육\n하민은 오전, 사과 하나 추가", ["도하민", "하민"]),
    ],
)
def test_the_given_name_of_a_full_name_is_repeated(text: str, names: list[str]) -> None:
    assert persons(text) == names
