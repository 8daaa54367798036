"""Which dates are dates of birth. Every text marks the expected findings with brackets: 생일 [1990-01-01]."""

from datetime import date

import pytest
from marked_texts import without_marks

from security_common.pii import PIIDetector, PIIKind, get_pii_detector

BIRTH_DATES = [
    "아들은 [2011년 5월생]이고요",
    "주민앞 [010624] 확인",
    "이혜경 귀하([2002.07.08]) / 교부번호 20261103",
    "김서윤 / [680115] / 요통",
    "가입자 염정숙 / 생 [1972.10.01]",
    "박서준|[19880412]|구매",
    "James Miller, [1969-02-10], Leeds",
    '{"paxName": "x", "dob": "[12MAR88]"}',
    '{"vip": [{"n": "x", "d": "[1978.08.04]"}]}',
    '{"ptno": "1182734", "brthdd": "[19500228]"}',
    "birth yr: [1984]",
    "생년월일: [1990-01-01]\n가입일: 2026-04-18",
    "가입일: 2026-04-18\n생년월일: [1990-01-01]",
    "가입일 2024.03.02, 생년월일 [1988.11.30], 만료일 2030.03.02",
    "주문일: 2026-11-02\n출생일: [1975/03/08]\n배송일: 2026-11-05",
    '{"created": "2026-01-02", "birth_date": "[1991-12-24]", "updated": "2026-02-03"}',
    "생일: 음력 [3월 2일]",
    "생년월일(음력) [1965.3.2]",
    "생년월일: (양력) [1965년 3월 2일]",
    "생일 [천구백구십삼년 유월 이일]",
    "생년월일은 [팔팔년 시월 십오일]이에요",
    "출생년도: [1984]",
    "생년 [1971년]",
    "저는 [1990년생]이에요",
    "[97년생] 남자 두 명",
    "[900503]생입니다",
    "b. [1985-07-04], Leeds",
    "환자 (F/[1988-02-03])",
    "([1979.10.12]/남)",
    "[1985.03.12], 여성",
    '{"dob": "[1990-05-03T00:00:00Z]"}',
    '{"dob": "[1990-05-03T09:30:00+09:00]"}',
    '{"birthday":"[0503]"}',
    "Born in [1984] in Busan",
    "DOB: [12-Mar-1980]",
    "date of birth [19800312]",
    "She was born in Seoul on [3 May 1990]",
    "Birthday: [March 15]",
    "1988-01-01 가입, 생일은 [1월 1일]",
    "주민번호 앞자리 [920911] 확인",
    "Agent: can I take your date of birth?\nCustomer: [May 21, 1987]",
    "상담: 생년월일도 입력해 주세요\n고객: [1954-12-19]",
]
OTHER_DATES = [
    "홍길동(2026.03.01) 문서",
    "홍보팀 / 123456 / 완료",
    "주문 정보(201201)",
    '{"d": "2026-02-03", "n": 4}',
    '{"birth_place": "Busan", "birthOrder": "2"}',
    "생년월일 : 미상\n진료일 : 2026년 11월 3일",
    "가입일: 2026-04-18",
    "최종 접속 2026-03-01 생성",
    "배포 2026-11-01, 생성 2026-11-02",
    "생일 쿠폰 유효기간 2026-05-01",
    "생일 쿠폰은 2026-05-01까지 사용할 수 있습니다",
    "생일 파티 2026년 11월 3일 저녁",
    "birthday party on May 3",
    "The birthday voucher expires on 2026-05-01",
    "출생신고 2024-01-01 접수",
    "2024년생산 제품 12,000개",
    "2024년 생산",
    "이순신은 1545년 4월 28일 출생",
    "The composer was born on 14 March 1879",
    "생년월일: 2031-01-01",
    "생년월일: 1990-13-41",
    "남/여 비율 3/4",
    "A/2026-11-03 release",
    "v1.2.3, built 2026-11-03",
    "마감일 2026년 11월 3일, 학생 12명",
    "1988년 1월 1일 설립",
    "생산일 1999-01-01",
    "SM/1988-02-03 코드",
    "상담: 생년월일 확인 완료\n고객: 2026-11-01 주문이요",
    "앞자리 999999",
]


@pytest.mark.parametrize("marked", BIRTH_DATES + OTHER_DATES)
def test_only_dates_of_birth_are_found(marked: str) -> None:
    text, expected = without_marks(marked)
    detector = PIIDetector(today=lambda: date(2026, 11, 30))

    found = [finding for finding in detector.scan_text(text) if finding.kind == PIIKind.DATE_OF_BIRTH]

    assert [text[finding.start : finding.end] for finding in found] == expected


@pytest.mark.parametrize(
    ("text", "date_of_birth"),
    [
        ("1\t옥정혜\tM811G6316\t1978.11.11\n", "1978.11.11"),
        ("- 띠란 바하두르 / 1992.01.30 / 네팔", "1992.01.30"),
        ("상담사: 명의자 주민번호 앞자리요\n고객: 830117요", "830117"),
        ("assistant: Please confirm your date of birth.\nuser: 7 Feb 1990", "7 Feb 1990"),
    ],
)
def test_dates_behind_names_documents_and_questions(text: str, date_of_birth: str) -> None:
    found = get_pii_detector().scan_text(text)
    assert date_of_birth in [text[each.start : each.end] for each in found if each.kind is PIIKind.DATE_OF_BIRTH]


@pytest.mark.parametrize(
    "text", ["담당 홍길동\n입사일: 2010-01-01", "홍길동 / 2025-11-30 / 방문", "생년월일:\n입사일: 2010-01-01"]
)
def test_other_dates_behind_names(text: str) -> None:
    found = get_pii_detector().scan_text(text)
    assert [each for each in found if each.kind is PIIKind.DATE_OF_BIRTH] == []
