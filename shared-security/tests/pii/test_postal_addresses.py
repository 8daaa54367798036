"""Korean addresses to their last part, and addresses of other countries. Brackets mark the expected addresses."""

import pytest
from marked_texts import without_marks

from security_common.pii import PIIKind, get_pii_detector

KOREAN = [
    "주소: [세종특별자치시 한누리대로 2130, 가온마을 6단지 604동 1101호]",
    "[경기 파주시 교하로 266, 한양아파트 6동 102호]",
    "11월 3일까지 [대구 달서구 월배로 439 대성오피스텔 1507호]로 보내 주세요",
    "[경상남도 김해시 가야로 4 래미안 2단지 205동 1104호]",
    "[서울시 강남구 테헤란로 152 (역삼동, 강남파이낸스센터) 지하 1층 B12호]",
    "[강원도 평창군 대관령면 횡계리 산 12-3]",
    "[서울특별시 송파구 올림픽로 300 롯데월드타워 B동 33층]",
    "[부산시 해운대구 우동 1418-2 센텀빌라 지하 101호]",
    "[경기도 수원시 영통구 매탄동 매탄마을주공5단지아파트 512동 304호]",
    "[인천 연수구 송도과학로 32 송도테크노파크IT센터 M동 2001호]",
    "[전주시 완산구 효자동1가 123-4번지 2층]",
    "[서울 마포구 월드컵북로 396, 누리꿈스퀘어 비즈니스타워 12층 (상암동)]",
    "[서울 서대문구 사서함 12호]",
    "[강원도 화천군 사서함 123-45호]로 편지",
    "[충남 논산시 연무읍 사서함 76-8호 3중대]",
    "집은 [테헤란로 427 위워크 5층]",
    "주소: [2205동 804호]",
    "안녕하세요 [505동 702호] 감이슬입니다",
    "[803동 1401호]죠? 이동 주차 부탁드립니다",
    "엄수정 대리님, [은행마을 407동 1002호] 하자접수 사진",
    "unit=[1201동 1705호] action=OPEN",
    "상세주소: [지하 1층]",
    "addr: [오피스텔 911호]",
    '{"주소": "[푸른빌라 201호]"}',
]
OTHER_COUNTRIES = [
    "[907 Cottonwood Ave, Flagstaff, AZ 86001]",
    "permit for [907 W Cottonwood Ave, Flagstaff, AZ 86001]",
    "send it to [12 Main Street, Norfolk, VA 23510]",
    "[12 Main Street, Fl 3, Norfolk, VA 23510]",
    "[27-4 Worldcup-ro, Mapo-gu, Seoul]",
    "[88 Centum jungang-ro, Haeundae-gu, Busan]",
    "[#102-1203, 45 Hangang-daero, Yongsan-gu, Seoul 04379]",
    "[101-1203, 12 Yeouidaebang-ro 65-gil, Yeongdeungpo-gu]",
    "[221B Baker Street, London NW1 6XE]",
    "[29 Oaklands Park, Cardiff CF14 6QP]",
    "[Flat 3, 12 Elm Grove, Leeds LS2 9JT]",
    "[PO Box 1187, 300 Depot St, Bend, OR 97701]",
    "[1600 N. Pennsylvania Avenue NW, Washington, DC 20500]",
    "ship to: Rafael Mbeki, [2300 Cedar Hollow Drive, Suite 210, Austin, TX 78701]",
    "[8 Jalan Kemaman #05-12, Singapore 329333]",
    "[Calle de Alcalá 118, 3º B, 28009 Madrid]",
    "[12 rue des Tanneurs, 68100 Mulhouse]",
    "[Musterstraße 12, 10115 Berlin]",
    "[〒160-0023 東京都新宿区西新宿2-8-1]",
    "住所 [東京都渋谷区神南1-2-3]",
    "[北京市朝阳区建国路88号]",
    "[上海市浦东新区世纪大道100号]",
    "[123 Nguyen Hue, District 1, Ho Chi Minh City]",
    "address: [Apt 7]",
]
NOT_ADDRESSES = [
    "기본적으로 1번째 줄부터 셉니다",
    "기본적으로 32비트 CRC를 씁니다",
    "서울대로 3번 출구",
    "2호선 강남역 5번 출구",
    "회의실 3층 302호",
    "101동 3층 엘리베이터 점검",
    "제3장 2절",
    "버전 2동 3호",
    "서울 강남구 매장 12곳",
    "판교로 이동 3분",
    "가로 30 세로 20",
    "부산으로 12대 출고",
    "서울 2026년 11월 행사",
    "3-2-1 Go",
    "Room 302, 3rd floor",
    "12 Angry Men",
    "Section 4.2, Table 12",
    "사서함을 비워 주세요",
    "100 Green Apples",
    "7 Point Scale",
    "第3章 12号",
    "주소: 미정",
    "주소록 12건",
    "IP 주소: 자동 할당",
]


def addresses(text: str) -> list[str]:
    found = get_pii_detector().scan_text(text)
    return [text[finding.start : finding.end] for finding in found if finding.kind == PIIKind.ADDRESS]


@pytest.mark.parametrize("marked", KOREAN + OTHER_COUNTRIES)
def test_addresses_are_found_to_the_end(marked: str) -> None:
    text, expected = without_marks(marked)

    assert addresses(text) == expected


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_other_places_and_numbers_are_not_addresses(text: str) -> None:
    assert addresses(text) == []
