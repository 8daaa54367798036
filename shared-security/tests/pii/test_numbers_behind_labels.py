"""Telephone numbers, identity documents and plates of any country that only a label or a field name identifies."""

import pytest
from marked_texts import without_marks

from security_common.pii import get_pii_detector

detector = get_pii_detector()


def _found(text: str) -> list[tuple[str, str]]:
    return [(found.kind.value, text[found.start : found.end]) for found in detector.scan_text(text)]


_PHONES = [
    "문의: [1588-6173]",
    "문의처 [1666-0123]",
    "고객센터 번호 [1899-8845] 변경 안내",
    "고객센터: [1577-5313]",
    "tel. [1522-3232]",
    "전화 [15771234]",
    "수신거부 [080-450-5669]",
    "무료수신거부 080번호: [080-123-4567]",
    "발신번호 [0226001234] 수신번호 [01023456789]",
    "CallerID=[01023456789] DNIS=[0263451234]",
    "電話 [03-5412-8830]",
    "携帯電話: [090-1234-5678]",
    "手机号码: [13812345678]",
    "手机 [138 1234 5678]",
    "联系电话:[021-58881234]",
    "電話 [186-2140-9937]",
    "ph [0412 884 907]",
    "Ph: [(03) 9123 4567]",
    "mob. [07911 123456]",
    "Mobil: [0171 2345678]",
    "Handy [0151/23456789]",
    "Tél. [01 42 68 53 00]",
    "Téléphone : [06.12.34.56.78]",
    "telefone: [(11) 98765-4321]",
    "mobile no. [91234567]",
    "hp [9123 4567]",
    "customer [07634 544828] asked",
    "Jo Kim, [0412 345 678]",
    "申辦門號 [0912-448-210]",
    "phone on file [503-885-0894]",
    "brno 없음, telno=[0212345678] fxno: [0212345679]",
]


@pytest.mark.parametrize("marked", _PHONES)
def test_a_telephone_number_of_any_country_is_found_behind_a_label(marked: str) -> None:
    text, expected = without_marks(marked)

    found = [each for each in _found(text) if each != ("PERSON", "Jo Kim")]  # the name in front of one of them
    assert found == [("PHONE", value) for value in expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phone", "(555) 012-3456"),
        ("mobile", "13912345678"),
        ("phone", "0412 345 678"),
        ("telefon", "030 12345678"),
        ("msisdn", "447911123456"),
        ("msisdn", "821023456789"),
        ("고객센터", "1588-6173"),
        ("hotline", "080-450-5669"),
        ("callee", "15881234"),
        ("연락처", "090-1234-5678"),
    ],
)
def test_a_telephone_number_of_any_country_is_found_under_the_name_of_a_field(name: str, value: str) -> None:
    assert _found(f'{{"{name}": "{value}"}}') == [("PHONE", value)]


_CODES = [
    ("PASSPORT", "passport [CK9KW8108]"),
    ("PASSPORT", "Passport No. [C01X00T47]"),
    ("PASSPORT", "passport number is [Z1234567]"),
    ("PASSPORT", "passport: [533380006]"),
    ("PASSPORT", "passport [12AB34567]"),
    ("PASSPORT", "여권번호: [P1234567A]"),
    ("PASSPORT", "여권(중국) [E12345678]"),
    ("PASSPORT", "Reisepass [C01X00T47]"),
    ("PASSPORT", "護照號碼 [314159265]"),
    ("PASSPORT", "护照号 [G12345678]"),
    ("PASSPORT", "旅券番号: [TK1234567]"),
    ("PASSPORT", '{"passport":"[CF5FX2160]","issuing":"DE"}'),
    ("DRIVER_LICENSE", "Driving licence number: [THACK705140M9AVT]"),
    ("DRIVER_LICENSE", "driving licence [JONES 710238 HA9LW]"),
    ("DRIVER_LICENSE", "DL check for age-restricted item: [D2311367] (CA)"),
    ("DRIVER_LICENSE", "DL# [S530-4608-2011]"),
    ("DRIVER_LICENSE", "Driver's license no. [123456789] (NY)"),
    ("DRIVER_LICENSE", "Driver's License: [12345678] TX"),
    ("VEHICLE_PLATE", "license plate [8KLM204]"),
    ("VEHICLE_PLATE", "number plate: [LK21 XYZ]"),
    ("VEHICLE_PLATE", "Kennzeichen [B-MW 1234]"),
    ("VEHICLE_PLATE", "车牌号 [沪A12345]"),
    ("VEHICLE_PLATE", '{"license_plate":"[8KLM204]"}'),
    ("VEHICLE_PLATE", '{"vehicleReg":"[AB12 CDE]"}'),
    ("US_SSN", "SSN given over the phone ([370 64 9084])"),
    ("US_SSN", "Taxpayer ID: [370-64-9084]"),
    ("US_SSN", '{"recipient_tin":"[235-63-4880]"}'),
    ("US_SSN", "ValueError: ['Jorgensen', '[235-88-6633]', 1]"),
    ("NATIONAL_ID", "UTR [7391364504]"),
    ("NATIONAL_ID", "PhilID number: [2458-4340-9763-8583]"),
    ("NATIONAL_ID", '{"tw_id":"[E294746172]"}'),
    ("DRIVER_LICENSE", "Driver license: [WDL4B81K2C93] (WA)"),
    ("PASSPORT", "Passport no. ..... [603124802]"),
    ("BUSINESS_NUMBER", "신규 입점: 꽃집, 대표자 미정, [2208162517]"),
    ("BUSINESS_NUMBER", "세금계산서 [2208162517] 로 발행"),
    ("BUSINESS_NUMBER", "등록번호 : [2208162517]\n상호 : 제과점"),
    ("BUSINESS_NUMBER", "공급받는자 (주)해오름물류 [220-81-62517]"),
    ("BUSINESS_NUMBER", '{"supplier":{"regNo":"[220-81-62517]"}}'),
    ("BUSINESS_NUMBER", '{"taxNo":"[2208162517]"}'),
    ("CORP_NUMBER", "[200122-3295608]"),
    ("BANK_ACCOUNT", "예금주확인 OK: [1002259163420] / 신준 / 기업은행"),
    ("BANK_ACCOUNT", "이체완료 no=TR0044812 from=[110381650448] to=[1005916658760]"),
    ("BANK_ACCOUNT", "Sort code 20-00-00, account [55779911]"),
    ("BANK_ACCOUNT", '{"sortCode":"20-18-44","account":"[73918204]"}'),
    ("BANK_ACCOUNT", '{"pymAcno":"[356-6975-3825-925]"}'),
    ("BUSINESS_NUMBER", "biz_check brno=[2208162517] state=1"),
    ("BANK_ACCOUNT", '{"acnutno":"[112-2983-6970-04]"}'),
    ("BANK_ACCOUNT", "acno=[3333011234567] bankCd=090"),
    ("BANK_ACCOUNT", "새마을 [9003-8113-6748-1]"),
    ("BANK_ACCOUNT", "payroll: acct [000123456789] aba 021000021"),
    ("CREDIT_CARD", "card on file [5500000000000004] exp 09/27"),
    ("VEHICLE_PLATE", "his plate is [KP19 45A], bay 6"),
    ("BANK_ACCOUNT", "vbank issued | [110693514511] |"),
]


@pytest.mark.parametrize(("kind", "marked"), _CODES)
def test_a_code_is_found_behind_a_label(kind: str, marked: str) -> None:
    text, expected = without_marks(marked)

    assert _found(text) == [(kind, value) for value in expected]


@pytest.mark.parametrize(
    "text",
    [
        "text 20260418 to all",
        "call 20261130 batch",
        "전화 20260418",
        "phone: pending",
        "문의 20261006",
        "1588-1234 고객센터 상품권",
        "passport photo 35x45mm",
        "passport: 3 pages",
        "여권 2026-11-30 만료",
        "passport expires 20301231",
        "여권 사본 2부",
        "license: Apache-2.0",
        "License: GPL3",
        "license key for seat 20261130",
        "의사면허 2020년 취득",
        "plate 12 of the book",
        "template A1234567",
        "vehicle EV6 GT",
        "vehicle identification number: 1HGCM82633A004352",
        "차량 K5 2020년식",
        "driving 120 km",
        "DL speed 87654321 bps",
        "UTR filing due 2026-01-31",
        "거래처 1234567890",
        "주문번호 2208162517",
        "계약=LA20260411",
        "part 110-508-1463",
        '{"partNo":"110-508-146323"}',
        "from=1705314600123 to=1705314600999",
        "cell 88213047",
        "MRN 12345678, phone pending",
        "lot 090-1234-5678",
        "품번 0912-448-210",
        "주문 07911 123456",
        "from 2026-11-30 to 2026-12-31",
        "대표번호 02-1234-5678",
        "상담은 고객센터 1588-1234 또는 홈페이지",
    ],
)
def test_other_values_behind_such_words_are_left_alone(text: str) -> None:
    assert _found(text) == []
