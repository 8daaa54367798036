"""Names in Latin letters in Korean sentences, and other words there. Brackets mark the expected persons."""

import pytest
from marked_texts import persons, without_marks

PERSONS = [
    "201호 [Suphansa Kittirat] 여권 복사본 없어요",
    "수상자는 [Petrov Daniil] 어린이",
    "어머니 [Aigerim Sadykova] 카톡으로 소통",
    "갑판원 [JOSEFINO MAGTANGGOL] 여권 만료",
]
OTHER_WORDS = ["Galaxy 고객 여러분", "VIP 선생님 초대", "Prime Video 회원 혜택", "AI 학생 모집", "Monday 본인 확인"]


@pytest.mark.parametrize("marked", PERSONS)
def test_names_beside_korean_words_for_persons(marked: str) -> None:
    text, expected = without_marks(marked)
    assert persons(text) == expected


@pytest.mark.parametrize("text", OTHER_WORDS)
def test_other_words_beside_words_for_persons(text: str) -> None:
    assert persons(text) == []
