"""Korean names, and ordinary words that look like them. Brackets mark the expected persons: 어제 [민지]한테."""

import pytest
from marked_texts import without_marks

from security_common.pii import PIIKind, get_pii_detector

WITH_PARTICLES = [
    f"어제 [{name}]{particle} 연락했어요"
    for name, particle in (
        ("홍길동", "에게"),
        ("김서연", "한테"),
        ("박준호", "이랑"),
        ("남궁민수", "께서"),
        ("선우은숙", "에게"),
        ("민지", "한테"),
        ("예린", "이한테"),
        ("지훈", "이랑"),
        ("은지", "랑"),
    )
]
WITH_TITLES = [
    f"[{name}] {title} 앞으로 보냈습니다"
    for name, title in (
        ("정예은", "과장님"),
        ("한가은", "팀장"),
        ("이수진", "교수님"),
        ("최영호", "변호사"),
        ("황보경", "선생님"),
        ("유나라", "님"),
        ("오세훈", "기사님"),
        ("문지원", "고객님"),
    )
]
IN_PROSE = [
    "아까 [민규]가 그러는데 시험 범위 바뀌었대",
    "[철수]야 밥 먹자",
    "[지훈]이가 먼저 퇴근했어요",
    "[은지]씨 자리로 전화 부탁해요",
    "[김하은]은 오늘 휴가입니다",
    "[정미란] 앞으로 온 택배",
    "[이유진]이라는 분이 전화했어요",
    "[박서준] 010-0000-0000",
    "([조은별], 35세)",
    "[신재희]입니다. 반갑습니다",
    "[예린]이는 못 온대",
    "[수민]에게 자료를 넘겼습니다",
    "[강도윤]의 통장 사본",
]
AFTER_LABELS = [
    "성명: [민소율]",
    "예금주: [설인아름]",
    "환자명: [감우람]",
    "보호자: [위하준서]",
    "입금자명: [봉준서]",
    "성명 | [탁현민우] | 남",
    "받는 분: [정보라]",
    "대표자: [정미란] 사업자등록번호",
    '{"예금주": "[목단우]"}',
    "이름: [홍 길 동]",
    "이름: [바트볼드]",
    "성명: [응우옌 반 안]",
    "성명: [王偉]",
    "이름: [田中太郎]",
    "고객명: [金哲洙]",
    "name: [왕샤오밍]",
]
FOREIGN_RESIDENTS = [
    "[응우옌 티 란] 씨에게 문자를 보냈습니다",
    "[쩐 반 민] 고객 접수",
    "[왕웨이]와 통화했습니다",
    "[리샤오룽]은 오늘 출국합니다",
    "[바트볼드 간바타르]님 외국인등록증",
    "[엥흐바야르] 씨",
    "[마이클 존슨]이 방문했습니다",
    "[제니퍼]한테 보냈어요",
    "[다나카 타로]는 내일 도착합니다",
    "[람 바하두르 타파] 입국",
    "[마리아 산토스] 계약 연장",
    "[알리셰르 카리모프] 근로계약서",
    "[올가 이바노바]에게 통보",
    "[제시카 리]는 새가족입니다",
    "[알렉산드르 김] 입주",
    "[김알렉세이] 진술",
    "[홍 마틸다] 수녀",
    "[산토쉬 구룽] 급여",
    "김철수([金哲洙])의 등본",
    "[田中太郎]様",
    "[山本 花子]",
]
ORDINARY_WORDS = [
    "하늘님이 보우하사",
    "바다님 보러 가자",
    "주문 9491-2297 배송이 시작되었습니다.",
    "주문 1234-5678 배송은 내일 도착합니다",
    "1588-0000 문자가 오지 않습니다",
    "마지막에 지정한 옵션의 동작을 처리합니다",
    "식별자 지정이 사용되었습니다",
    "지정은 다음과 같습니다",
    "정수형 범위가 아닙니다",
    "복수형 메시지",
    "한정자를 지정할 수 없음",
    "손상일 가능성이 큽니다",
    "버전 정보나 설정 정보",
    "CPU 사용율 92%",
    "사용을 권하지 않습니다",
    "잠시 기다린 후 다시 시도하세요",
    "정의로운 사회",
    "유효한 양의 정수",
    "유효성검사 함수",
    "이루고 나서 정리하고 보고하세요",
    "이유식 세트와 고등어구이",
    "신라면, 오이소박이, 유부우동",
    "서울우유 안성탕면 전복죽",
    "전자상거래 이용자 보호",
    "조은은행이 아니라 우리은행 계좌",
    "이동통신 요금 고지",
    "권한이 없습니다",
    "전송이 실패했습니다",
    "반송이 접수되었습니다",
    "방송인이 아닌 진행자",
    "고객님 담당자님 기사님",
    "나라님도 못 구한다",
    "주민님 여러분",
    "표현식이 잘못되었습니다",
    "성명: 미상",
    "예금주: (주)한빛물산",
    "예금주: 한빛전자",
    "담당자: 인사팀",
    "담당: 홍보팀",
    "이름: 기본 설정",
    "작성자: 관리자",
    "고객명: 비회원",
    "받는 분: 경비실",
    "이름: 신제품 출시 안내",
    "상품 이름: 왕만두",
    "그룹 이름은 쓸 수 없습니다",
    "지우고 다시 쓰세요",
    "지은이 소개",
    "하진 않았다",
    "회원을 모집합니다",
    "조지아 여행",
    "주인지 손님인지 확인",
    "경이로운 경치",
    "부진의 원인은 비용이다",
    "사정을 설명했다",
    "태평양 횡단",
    "연이은 폭우",
    "목요일 회의",
    "사다리 대여",
    "기간이 지났습니다",
    "최근 이슈는 배터리",
    "한반도 정세",
]


def persons(text: str) -> list[str]:
    found = get_pii_detector().scan_text(text)
    return [text[finding.start : finding.end] for finding in found if finding.kind == PIIKind.PERSON]


@pytest.mark.parametrize("marked", WITH_PARTICLES + WITH_TITLES + IN_PROSE + AFTER_LABELS)
def test_korean_names_are_found(marked: str) -> None:
    text, expected = without_marks(marked)

    assert persons(text) == expected


@pytest.mark.parametrize("marked", FOREIGN_RESIDENTS)
def test_names_of_foreign_residents_are_found_in_hangul_and_han(marked: str) -> None:
    text, expected = without_marks(marked)

    assert [name for name in persons(text) if name != "김철수"] == expected


@pytest.mark.parametrize("text", ORDINARY_WORDS)
def test_ordinary_words_are_not_names(text: str) -> None:
    assert persons(text) == []
