"""Fields whose record shows that they name a person, and values of the same fields that are not names."""

import json

import pytest
from marked_texts import persons


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"rdrNm": "정봄", "dlvrAddr": "울산 북구 매곡로 70", "cnt": 1}, "정봄"),
        ({"qzNm": "독고나린", "배송지주소": "강원 춘천시 후석로 220-10"}, "독고나린"),
        ({"drvNm": "알리셰르", "drvTel": "010-4731-4309", "vhclNo": "서울88자1754"}, "알리셰르"),
        ({"xyzName": "Ottoline Wray", "xyzPhone": "415-515-6657"}, "Ottoline Wray"),
        ({"name": "Fitzgerald-Moore", "party": 5, "phone": "415-515-6657"}, "Fitzgerald-Moore"),
        ({"company": "Nordfeder AB", "contact": "Åsa Björklund", "phone": "+46 8 505 112 74"}, "Åsa Björklund"),
        ({"bizRegNo": "4311200866", "rprsvNm": "천둥이"}, "천둥이"),
        ({"예약자": "용감한", "연락처": "010-7682-6205"}, "용감한"),
        ({"차주": "어금니", "차량번호": "199머5342"}, "어금니"),
        ({"할인자": "태풍", "차량번호": "296모8540"}, "태풍"),
        ({"receivedBy": "Wren Halloway", "phone": "415-515-6657"}, "Wren Halloway"),
        ({"driver": "Paco", "driver_tel": "+34 612 440 918"}, "Paco"),
        ({"N": "Mo Farouk", "E": "m.farouk@example.org", "R": "viewer", "qty": 1}, "Mo Farouk"),
        ({"n": "Mo Farouk", "e": "m.farouk@example.org", "r": "viewer"}, "Mo Farouk"),
        ({"renter": "Devaraj s/o Muthu", "phone": "+65 8827 1143"}, "Devaraj s/o Muthu"),
        ({"氏名": "林 美咲", "電話": "070-1184-2265"}, "林 美咲"),
    ],
)
def test_the_record_shows_that_a_field_names_a_person(record: dict[str, object], name: str) -> None:
    assert persons(json.dumps(record, ensure_ascii=False)) == [name]


@pytest.mark.parametrize(
    "record",
    [
        {"qzNm": "정봄", "cnt": 1, "price": 9000},
        {"hallNm": "가람홀", "hallTel": "02-555-1234"},
        {"buildingOwner": "대성산업", "phone": "02-555-1234"},
        {"owner": "Platform", "email": "p@acme.com"},
        {"order_by": "Created", "email": "a@bcorp.com"},
        {"닉네임": "햇살", "이메일": "okhee55@example.org"},
        {"예약자": "미정", "연락처": "010-7682-6205"},
        {"guestNm": "투숙객명", "guestTel": "연락처"},
        {"roomTypes": [{"name": "한솔", "beds": 2, "rate": 180000}]},
        {"tier": [{"name": "Ruby", "miles": 20000}]},
        {"vehicle": {"make": "Skoda", "model": "Octavia", "reg": "KV21 XOP"}},
        {"brand": ["Ashley", "Mary Quant"]},
        {"event": "Jackson Browne Tribute"},
        {"wine": [{"nm": "Robert Mondavi Cabernet", "btl": 92000}]},
    ],
)
def test_other_records_do_not_name_a_person(record: dict[str, object]) -> None:
    assert persons(json.dumps(record, ensure_ascii=False)) == []


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (
            "기사명 / 차량번호 / 연락처\n염라 / 부산85아2278 / 010-7946-2923\n도깨비 / 충남84자1621 / -",
            ["염라", "도깨비"],
        ),
        ("q,mobile\nOttoline Wray,010-7946-2923\nCyrus Vakilian,010-2411-9579", ["Ottoline Wray", "Cyrus Vakilian"]),
        ("sqlite> select plate, owner from permit;\n27보7624|채송화\n63버3322|뇌성진", ["채송화", "뇌성진"]),
        (
            "Name | Role | Mobile\nTyler Prescott | Porter | 07990 997183\nTrevor Jorgensen | Bursar | 07989 066799",
            ["Tyler Prescott", "Trevor Jorgensen"],
        ),
        ("q,mobile\nDeluxe Twin,010-7946-2923\nOcean Suite,010-2411-9579", []),
    ],
)
def test_columns_beside_numbers_ofpersons(table: str, names: list[str]) -> None:
    assert persons(table) == names


@pytest.mark.parametrize(
    "text",
    [
        "vendor:\n  name: Zahnrad Keller AG\n  terms: 30",
        "Consignor: Nordfeder AB",
        "Today's special: Earl Grey panna cotta",
        "Robert Mondavi Cabernet",
        "user: 로그인 비밀번호 분실",
        "C구역 12열은 시야 제한석입니다.",
    ],
)
def test_companies_and_things_named_likepersons(text: str) -> None:
    assert persons(text) == []
