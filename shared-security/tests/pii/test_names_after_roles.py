"""Korean names behind the role of a person, in sentences. Brackets mark the expected persons."""

import pytest
from marked_texts import without_marks

from security_common.pii import PIIKind, get_pii_detector

WITH_A_SPACE = [
    f"{role} [{name}] 확인 요청"
    for role, name in (
        ("세입자", "엄지온"),
        ("매수인", "어진솔"),
        ("참고인", "제갈윤"),
        ("남편", "장수덕"),
        ("며느리", "반기문"),
        ("보험수익자", "노다슬"),
        ("주치의", "모세진"),
        ("산모", "길하윤"),
        ("배달원", "라미란"),
        ("신랑", "좌현우"),
    )
]
AS_A_VALUE = [
    f"{role}: [{name}]"
    for role, name in (
        ("후견인", "계은숙"),
        ("집주인", "성낙"),
        ("유언집행자", "감찬영"),
        ("진술인", "엽계남"),
        ("피신청인", "두나라"),
        ("명의", "가인숙"),
    )
]
IN_SPEECH = [
    "시어머니 성함은 [차끝분]이고요",
    "저 [빙그래]라고 하는데요",
    "저는 [남궁은솔]이라고 합니다",
    "제가 [박서준]이라고 합니다",
    "[최고운] 씨, 경계측량 관련",
    "[하결] 주임 확인 후 정산",
    "[류준] 환자 소견서 2매",
    "[고두식] 엄마예요",
    "수령인 성함은 [손은솔]이구요",
    "증인 [감찬영], [임금례]",
    "상대방 이름은 [손은솔]이구요",
    "수신인 [감태섭], 주소는 아래와 같음",
    "원 고   [남미루]\n피 고   [박하준]",
    "안녕하세요 [감이슬]입니다",
    "[계민준] 드림",
    "Seller: [표창미] / seller [마광진]",
    'host="[편하나]" guest="[곽두형]"',
    "순경 [변한솜] 근무",
    "[박 하나]: 축구회 유니폼이요",
    "[서문 아인]: 4층",
    "bot> 성함을 입력해 주세요\nuser> [문명자]\nbot> 사번을 입력해 주세요",
    "직원A: 성함이 뭐였죠\n직원B: [신예린] 씨요",
]
OTHER_WORDS = [
    "성 명: 미상",
    "전 주소: 서울",
    "현 주소: 부산",
    "명일련: 00217",
    "이름이 무엇인가요?\n상담: 잠시만요",
    "보호자 동의서 제출",
    "세대주 확인서",
    "임차인 변경",
    "신청인 주소",
    "피고인 신문",
    "예금주 | 개설점",
    "민원인: 오삼년 이월 십일",
    "상담사: 시어머님 생신이세요?",
    "지하주차장 LED 교체",
    "조선후기사 3학점",
    "연대보증인 변경",
    "4과목 이수율 98.5%",
    "수령인: 부재",
    "용의자 별명 '번개'",
]


@pytest.mark.parametrize("marked", WITH_A_SPACE + AS_A_VALUE + IN_SPEECH + OTHER_WORDS)
def test_persons(marked: str) -> None:
    text, expected = without_marks(marked)
    found = get_pii_detector().scan_text(text)

    assert [text[each.start : each.end] for each in found if each.kind == PIIKind.PERSON] == expected
