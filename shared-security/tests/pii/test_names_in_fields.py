"""Names in fields that certainly name persons: every value of the form of a name is one."""

import json
from typing import Any

import pytest
from marked_texts import persons

from security_common.pii import get_pii_detector


def persons_in(record: object) -> list[str]:
    return persons(json.dumps(record, ensure_ascii=False))


@pytest.mark.parametrize(
    "name",
    [
        "가을", "노을", "단비", "두보라", "계현우", "봉필", "망절윤아", "황보 관", "제갈 소이",
        "알렉산드르 김", "윤 소피아", "카밀라 오르티스",
        "무쿠나 라힘", "르엉 티 빅 응옥", "지엘리사벳", "Pippa Ostrowska", "Jem", "Kofi Asante Jr.",
        "K.J. Asante", "STORM, Wynn",
        "Kees van 't Hof", "Iñaki Goikoetxea", "Noor al-Rashid", "Bridie O'Dowd", "Smith Park Daniel", "王偉",
        "สมชาย วงศ์สุวรรณ", "Олена Коваль",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["성명", "세대주", "피해자", "patientName", "guardian", "dfndNm"])
def test_any_value_of_the_form_of_a_name(field: str, name: str) -> None:
    assert [each.rstrip(".") for each in persons_in({field: name})] == [name.rstrip(".")]


@pytest.mark.parametrize("field", ["성명", "세대주", "피해자", "patientName", "guardian", "athlete"])
@pytest.mark.parametrize(
    "value",
    [
        "미상", "없음", "미정", "본인", "익명", "해당없음", "공석", "관리자", "시스템", "팀장", "순경",
        "교무처", "복지정책과", "한빛은행", "주식회사 두레",
        "(주)한빛", "두레임대", "전 교직원", "배정 예정", "추후 통보합니다", "unknown", "n/a", "N/A", "admin",
        "System", "Vacant", "TBD", "HR", "Front Desk",
        "Sales Team", "Harbour Trust Ltd", "Acme Inc.", "GitHub", "Dept of Works", "", "-", "3", "A-17", "2층",
    ],
)  # fmt: skip
def test_values_that_are_not_names(field: str, value: str) -> None:
    assert persons_in({field: value}) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"구역원": ["방울", "최에스더", "유한나"]}', ["방울", "최에스더", "유한나"]),
        ('{"구역원": "방울, 최에스더, 유한나"}', ["방울", "최에스더", "유한나"]),
        ("구역원: 방울, 최에스더, 유한나\n장소: 카페 뜰", ["방울", "최에스더", "유한나"]),
        ("choir:\n  alto: [고요한, 사라 윤]\n  tenor: []", ["고요한", "사라 윤"]),
        ('{"residents": "Walt & Mimi"}', ["Walt", "Mimi"]),
        ('{"의뢰인": "구자옥 외 2명"}', ["구자옥"]),
        ('{"대상자": "이끝순 어르신"}', ["이끝순"]),
        ('{"구역장": "우상 안수집사"}', ["우상"]),
        ("officer: 순경 변한솜", ["변한솜"]),
        ('{"guarantor": "Dr. Ulla Fischer"}', ["Ulla Fischer"]),
        ("임대인: 좌천용 (550101-1815168)", ["좌천용"]),
        ("resident=홍비 answered=false", ["홍비"]),
    ],
)
def test_lists_titles_and_notes_beside_names(text: str, names: list[str]) -> None:
    assert persons(text) == names


@pytest.mark.parametrize(
    "record",
    [
        {"nm": "옥희", "mbtlnum": "01040750846", "sexdstn": "여"},
        {"피해자": {"nm": "옥희", "memo": "x"}},
        {"bnefcryNm": "추말례", "ihidnum": "3809072598296"},
        {"소유자": "단오", "주민등록번호": "630105-1609665"},
        {"custNm": "천정", "gndr": "1"},
        {"memList": [{"nm": "봉필", "seq": 3}]},
        {"client": "Rashad Greer", "ssn": "469-17-3906", "county": "Lake"},
        {"name": "Siti Nurhaliza Binte Rahmat", "customer_nric": "F5004964R"},
    ],
)
def test_names_in_records_that_are_certainly_aboutpersons(record: Any) -> None:
    assert len(persons_in(record)) == 1


@pytest.mark.parametrize(
    "record",
    [
        {"owner": "platform-team"},
        {"owner": "Northwind Logistics"},
        {"author": {"name": "Anthropic", "url": "https://example.com"}},
        {"driver": {"name": "nvme", "version": "1.2"}},
        {"reviewer": "Sonar"},
        {"고객": "두레산업"},
        {"상호": "노을"},
        {"소유자": "주식회사 노을"},
        {"client": "web", "status": 200},
        {"name": "대관료", "acct": "5210", "dr": 360000},
        {"host": "api01", "user": "batch"},
        {"client": "Mozilla Firefox", "version": "131"},
        {"guest": "Ubuntu", "host": "Proxmox"},
        {"doctor": "ESLint"},
        {"conductor": "Copper", "insulator": "Glass"},
        {"students": ["Grade 3", "Grade 4"]},
        {"patients": "Adults Only"},
        {"nome": "Lisboa", "latitude": 38.7},
        {"통역": "영어"},
        {"의사": "내과"},
        {"대상자": "신입사원"},
        {"선수": "국가대표"},
        {"근무자": "야간조"},
    ],
)
def test_roles_of_companies_and_software(record: Any) -> None:
    assert persons_in(record) == []


@pytest.mark.parametrize("field", ["대표", "소유자", "고객", "상대"])
@pytest.mark.parametrize("name", ["순태호", "형남기", "초은솔", "매기 손", "수진"])
def test_korean_names_in_fields_of_persons_or_companies(field: str, name: str) -> None:
    assert persons_in({field: name}) == [name]


@pytest.mark.parametrize(
    "text",
    [
        '{"resident": "dmitri.sokolov"}',
        '{"사용자ID": "namgi_yoo"}',
        '{"portalId": "sungjin.noi"}',
        '{"userId": "bokji_heo"}',
    ],
)  # fmt: skip
def test_usernames_ofpersons(text: str) -> None:
    assert len(persons(text)) == 1


@pytest.mark.parametrize("text", ['{"userId": "svc_backup"}', '{"portalId": "batch.daily"}', '{"userId": "user_0042"}'])
def test_usernames_of_services(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "고객: 제 번호 010-4980-6048 인데 데이터가 안 터져요",
        "간호사: 면회는 18시부터입니다.",
        "상담사: 감사합니다 확인했어요",
        "담당자: 지금 처리하고 있어요",
        "환자: 아니요\n의사: 네",
        "보호자: 동행",
    ],
)  # fmt: skip
def test_what_persons_say_in_a_chat_is_not_a_name(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("동호", "106-0903"), ("동호수", "906동 2203호"), ("세대", "203동 1108호"), ("소재지", "상판리 07-3"),
        ("체류지", "원곡동 들빛빌라 B02호"),
        ("addr", "1210 Sycamore Bend"), ("situs", "903 Quail Hollow Ln"), ("호수", "반지하 B02호"), ("지번", "966-2"),
    ],
)  # fmt: skip
def test_short_addresses_in_fields_for_addresses(field: str, value: str) -> None:
    text = json.dumps({field: value}, ensure_ascii=False)
    found = get_pii_detector().scan_text(text)
    assert [(each.kind, text[each.start : each.end]) for each in found] == [("ADDRESS", value)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("addr", "0x7ffe12"), ("address", "n/a"), ("address", "10:20"), ("소재지", "확인 중"), ("소재지", "미정")],
)  # fmt: skip
def test_other_values_in_fields_for_addresses(field: str, value: str) -> None:
    assert get_pii_detector().scan_text(json.dumps({field: value}, ensure_ascii=False)) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        # half of the cells of a column without a telling heading are names
        ("연락처,비고1,메모칸\n010-1234-5678,김영희,국\n010-1234-5679,박하,국\n010-1234-5670,홍길동,국",
         ["김영희", "박하", "홍길동"]),
        ("phone;zone;pax2\n010-1234-5678;C-1;Emily Carter\n010-1234-5679;C-2;Jem\n010-1234-5670;C-3;Owen McAllister",
         ["Emily Carter", "Jem", "Owen McAllister"]),
        # one name is not enough
        ("연락처,메모칸\n010-1234-5678,김영희\n010-1234-5679,반찬\n010-1234-5670,도시락", ["김영희"]),
        # less than half
        ("연락처,메모칸\n" + "\n".join(f"010-1234-5678,{cell}" for cell in ("김영희", "반찬", "홍길동", "국", "김치")),
         ["김영희", "홍길동"]),
        # a number of a resident in the row makes its owner a person
        ("소유자,등록번호,지목\n단오,630105-1609665,전\n단비,651120-2286255,전", ["단오", "단비"]),
        # a heading that begins with a number
        ("봉사자,1365ID,활동\n궉채린,gwok_cr,급식\n이 사라,sarah_lee,말벗",
         ["궉채린", "gwok_cr", "이 사라", "sarah_lee"]),
        # the first cell of a row is a label in its own right
        ("구분|성명|공급가액\n매출|서문탁|1200000\n매입|나원더|340000", ["서문탁", "나원더"]),
    ],
)  # fmt: skip
def test_columns_of_tables(text: str, names: list[str]) -> None:
    assert persons(text) == names


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("차량등록: 동호 106-0903 / 차종 승용 / 세대주 평강우", ["106-0903", "평강우"]),
        ("새가족 / 성명 제시카 리 / 인도자 백연가 집사 / 세례 유", ["제시카 리", "백연가"]),
        ("세대주 가을 | 차종 승용 | 층 3", ["가을"]),
        ("품명 사과 / 담당자 미정 / 수량 3", []),
        ("보호자 동의 / 학교 안내 / 준비물 도시락", []),
    ],
)
def test_labels_without_a_colon_in_segments(text: str, values: list[str]) -> None:
    assert [text[each.start : each.end] for each in get_pii_detector().scan_text(text)] == values


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Name (Last, First): KALE, Hokulani", "KALE, Hokulani"),
        ("Name (as in passport): NAMGOONG HYEJIN", "NAMGOONG HYEJIN"),
        ("Guarantor 1: Zephyr Nakagawa-Holt", "Zephyr Nakagawa-Holt"),
        ('{"demandante": "Iñaki Goikoetxea"}', "Iñaki Goikoetxea"),
        ('{"氏名": "渡辺 直人"}', "渡辺 直人"),
        ('{"approver": "m.tremblay"}', "m.tremblay"),
    ],
)
def test_notes_and_numbers_beside_labels(text: str, name: str) -> None:
    assert persons(text) == [name]


def test_a_note_beside_an_empty_label_is_not_its_value() -> None:
    assert persons("Name (Last, First):\nDate:") == []
