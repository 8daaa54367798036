"""Values that are not personal data stay as they are: amounts, ids, timestamps, paths, versions, case numbers."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import get_pii_detector

detector = get_pii_detector()

_AMOUNTS = [
    "영업이익 +12,345,678,901원 (전년 대비)",
    "₩ 12345678901 결제",
    "$4539578763621486",
    "KRW 12345678901",
    "USD 4539578763621486",
    "합 -12,345,678,901.55 변동",
    "순이익 1,234,567,890 매출 98,765,432,100",
    "12345678901 원 예정",
    "매출 12345678901만원",
    "1234567890123 KRW",
    "amount=+12,345,678,901",
    "총 01012345678 bytes",
    "증가율 4539578763621486%",
    "대출금 1,101,234,567,890원, 이자 12,345,678원",
]
_TIME_STAMPS = [
    "GET https://shop.example/a?t=1705314600123 200",
    "ts=1801000000123 level=info",
    "1705314600123",
    "1705314600",
    "1705314600123456",
    "1705314600123456789",
    "20260418120000",
    "20260418120000123",
    "2026-04-18T12:00:00.123456+09:00",
    "2026-W48-1",
    "account updated 1705314600",
    "transfer at 20260418123000",
]
_SERIES = [
    "[4539578763621486, 5500000000000004]",
    "4539578763621486\t17\t5500000000000004",
    "4012 4033 4051 4077 4102 4111 4120 4128 4135",
    "4012\n4033\n4051\n4077\n4102\n4111\n4120",
    "4539 5787 6362 1486 4539 5787",
    "0.1012345678 0.2012345678",
    "seed 4.539578763621486 loss 0.1012345678",
    "x,y\n37.5665,126.9780\n35.1796,129.0756",
    "[[4539578763621486,1],[5500000000000004,2]]",
    "12,4539578763621486,9",
    "progress 4539578763621486/5500000000000004",
    "issue #4539578763621486",
    "기간 20260101~20260202",
    "가격 12,000~34,000원",
]
_COORDINATES = [
    "lat 37.5665,126.9780 lon",
    "+37.5665-126.9780/",
    "37.566535, 126.977969",
    "+37.566535 +126.977969",
    "POINT(126.977969 37.566535)",
    "(37.5665350, 126.9779692)",
    "geo:37.786971,-122.399677",
    "@37.5665350,126.9779692,15z",
]
_PATHS = [
    "s3://b/M20261128/part-1",
    "s3://bucket/M12345678/x.parquet",
    "/var/log/S12345678/app.log",
    "https://example.com/p/M12345678?x=1",
    "GET /orders/4539578763621486/items",
    "https://x.example/8801011234568",
    r"C:\data\8801011234568\x.csv",
    "8801011234568.csv",
    "curl https://api.example.com/v1/users/01012345678/orders",
    "users/4539578763621486",
    "./out/P123456789012/log.txt",
    "gs://bucket/2026/04/18/4539578763621486.json",
    "~/data/4539578763621486",
]
_CASES = [
    "대법원 97다4326 판결 참조",
    "2021고단123 사건",
    "대법원 98도1234, 99다5678 판결",
    "헌재 97헌마372",
    "서울고등법원 95나1234 선고",
    "95누4326 판결 요지",
    "위 판례(93다1234)는",
    "서울지법 98가1234",
    "86모1234 결정",
]
_CODES = [
    "M20261128 배치",
    "S20260418 part",
    "T12345678 모델",
    '{"sku":"M12345678"}',
    '{"model":"P123456789012"}',
    "P202604180001 수량 3",
    "part_no: S12345678",
    "lot=R12345678",
    "O12345678 valve",
    "260418-1000123 로트",
    "LOT 240815-1234567 유통기한",
    "urn:oasis:names:tc:SAML:2.0",
    "550e8400-e29b-41d4-a716-446655440000",
    "12345678-1234-1234-1234-123456789012",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 4539578763621486abcdef",
    "0x4539578763621486",
    "ISBN 978-89-1234-567-8",
    "9788912345678",
    "8801234567893",
    "IMEI 356938035643809",
    "tracking 1Z999AA10123456784",
    "flight KE123 on 2026-04-18",
    "송장 688912345678",
    "주문 9491-2297",
    "sku: 101-02-0003",
    '{"lot": "101-02-0003"}',
    '{"desktop":31234567,"mobile":23456789}',
    '{"uidNumber":"10001234","gidNumber":"10001234"}',
    '{"paymentKey":"tgen_20260101abcdEFGH"}',
    "계정과목 101-02-0003 현금",
]
_VERSIONS_AND_MACHINES = [
    "Chrome/120.0.0.0 Safari/537.36",
    "nginx/1.25.3.1",
    "pip install pkg==1.2.3.4",
    "pkg>=1.2.3.4",
    "foo@1.2.3.4",
    "v1.2.3.4",
    "Kotlin 1.9.24, Gradle 8.7.0.1",
    '{"agent":"7.53.1.2","kernel":"6.8.0-45-generic"}',
    '{"db_engine":"8.0.33.1"}',
    "ClientVersion: 4.12.0.7",
    "버전 1.2.3.4",
    "00:1a:2b:3c:4d:5e",
    "00:11:22:33:44:55:66:77",
    "12:34:56:78",
    "std::vector::size",
    "1.3.6.1.4.1.311",
]


@pytest.mark.parametrize(
    "text", [*_AMOUNTS, *_TIME_STAMPS, *_SERIES, *_COORDINATES, *_PATHS, *_CASES, *_CODES, *_VERSIONS_AND_MACHINES]
)
def test_a_value_that_is_not_personal_data_has_no_finding(text: str) -> None:
    assert detector.scan_text(text) == []
    assert detector.mask_text(text) == text


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("결제 4539578763621486 승인", "CREDIT_CARD", "4539578763621486"),
        ("4539578763621486", "CREDIT_CARD", "4539578763621486"),
        ("4539 5787 6362 1486 12/27", "CREDIT_CARD", "4539 5787 6362 1486"),
        ("카드 4539578763621486, 5500000000000004", "CREDIT_CARD", "4539578763621486"),
        ("환자 8801011234568", "KR_RRN", "8801011234568"),
        ("이별(1705314600123)", "KR_RRN", "1705314600123"),
        ("주민번호 1705314600123", "KR_RRN", "1705314600123"),
        ("문의 01012345678 로", "PHONE", "01012345678"),
        ("https://x.example/?phone=01012345678", "PHONE", "01012345678"),
        ("+82 10-1234-5678", "PHONE", "+82 10-1234-5678"),
        ("입금 110-123-456789, 금액 1,234,567원", "BANK_ACCOUNT", "110-123-456789"),
        ("My number is 101-02-0003", "US_SSN", "101-02-0003"),
        ("여권 M12345678", "PASSPORT", "M12345678"),
        ("010~3381~7745 으로 문자", "PHONE", "010~3381~7745"),
        ("주문이요, P170093382714", "CUSTOMS_CODE", "P170093382714"),
        ("탑승객 M12345678 확인", "PASSPORT", "M12345678"),
        ("여권번호: M20261128", "PASSPORT", "M20261128"),
        ("차량 97다4326", "VEHICLE_PLATE", "97다4326"),
        ("97다4326 견인됨", "VEHICLE_PLATE", "97다4326"),
        ("접속 10.1.2.3", "IP", "10.1.2.3"),
        ('{"dns":"8.8.4.4"}', "IP", "8.8.4.4"),
        ('{"agent":"10.1.2.3"}', "IP", "10.1.2.3"),
        ("from 1.2.3.4", "IP", "1.2.3.4"),
        ("http://10.1.2.3/", "IP", "10.1.2.3"),
        ("root@10.1.2.3", "IP", "10.1.2.3"),
        ("client/10.0.0.1:8080", "IP", "10.0.0.1"),
        ("12가3456, 34나5678 출차", "VEHICLE_PLATE", "34나5678"),
        ("numbers 101-02-0003, 123-45-6788", "US_SSN", "123-45-6788"),
        ("01012345678회신 바랍니다", "PHONE", "01012345678"),
    ],
)
def test_the_same_shapes_are_found_where_they_are_personal_data(text: str, kind: str, value: str) -> None:
    assert (kind, value) in [(found.kind, text[found.start : found.end]) for found in detector.scan_text(text)]


_NOW = datetime.now(UTC).timestamp()
_NEAR_NOW = st.integers(int(_NOW) - 5 * 365 * 86_400, int(_NOW) + 180 * 86_400)


@given(
    _NEAR_NOW, st.integers(0, 999), st.sampled_from(["{}", "ts={}", '{{"at": {}}}', "[{}, 5]", "at {} done", "{},3"])
)
def test_seconds_and_milliseconds_since_1970_are_left_alone(second: int, millisecond: int, sentence: str) -> None:
    assert detector.scan_text(sentence.format(second)) == []
    assert detector.scan_text(sentence.format(second * 1000 + millisecond)) == []


@given(
    st.integers(1_000_000, 10**15),
    st.sampled_from(["{}원", "+{}원", "-{}원 감소", "₩{}", "₩ {}", "${}", "KRW {}", "{} KRW", "약 {}달러", "{} 원을"]),
    st.booleans(),
)
def test_amounts_are_left_alone(amount: int, sentence: str, grouped: bool) -> None:
    assert detector.scan_text(sentence.format(f"{amount:,}" if grouped else amount)) == []


_NAMES_OF_IDS = """
orderId campaign_id trackingNumber traceId seq invoiceNo sku etag eventId accountId serialNumber containerNo flightNo
caseNumber acct_code txnId approvalNo itemCode key id ts amount total offset version lot
주문번호 송장번호 상품코드 거래번호 금액
"""
_ID_NAMES = st.sampled_from(_NAMES_OF_IDS.split())
_IDS = st.one_of(
    st.from_regex(r"[1-9][0-9]{7,18}", fullmatch=True),
    st.from_regex(r"(4539|5500|9410)[0-9]{12}", fullmatch=True),
    st.from_regex(r"[MSP][0-9]{8}", fullmatch=True),
    st.from_regex(r"[A-Z]{2,3}-?[0-9]{6,10}", fullmatch=True),
    st.from_regex(r"[1-6][0-9]{2}-[0-9]{2}-[0-9]{4}", fullmatch=True),
    st.from_regex(r"[a-f0-9]{12,40}", fullmatch=True),
)


@given(_ID_NAMES, _IDS)
def test_ids_under_the_name_of_an_id_are_left_alone(name: str, value: str) -> None:
    number = value if value.isdigit() else f'"{value}"'

    assert detector.scan_text(f'{{"{name}": {number}, "ok": true}}') == []
    assert detector.scan_text(f'{{"{name}": "{value}"}}') == []
    assert detector.scan_text(f"{name}={value} done") == []
    assert detector.scan_text(value, field_name=name) == []
