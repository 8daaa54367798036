"""Names that the grammar around them, the other lines of a chat or another place of the text show to be names."""

import pytest
from marked_texts import persons

from security_common.pii import PIIKind, get_pii_detector


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("총무 배춘선, 다음 모임은 회관에서", "배춘선"),
        ("판매자 마도식으로부터 카메라를 샀다", "마도식"),
        ("반장 소병구가 자리를 비움", "소병구"),
        ("경비 도상필은 08시에 퇴근", "도상필"),
        ("현관에서 도상필이 기다림", "도상필"),
        ("서류는 표길안에게 전달", "표길안"),
        ("접수는 탄영숙이 담당", "탄영숙"),
    ],
)
def test_a_surname_with_usual_syllables_and_a_fitting_particle(text: str, name: str) -> None:
    assert persons(text) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "심사결과를 통보합니다",
        "노을빛 적금과 이자율",
        "원으로 환산하면 얼마인가요",
        "감사 결과와 회계 기준",
        "용인로 12길을 지나",
        "기사 배정이 늦어짐",
    ],
)
def test_other_words_with_syllables_of_names(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("관제실에서 예프게니 씨를 찾음", "예프게니"),
        ("띠엔님과 시간을 바꿈", "띠엔"),
        ("사모님 기쁨 씨, 피아노 있음", "기쁨"),
        ("하지 님 계약서 주소 확인", "하지"),
        ("반장이 두만석씨네 앞에서 대기", "두만석"),
    ],
)
def test_any_word_before_an_honorific(text: str, name: str) -> None:
    assert name in persons(text)


@pytest.mark.parametrize(
    "text", ["아가씨와 아저씨", "마음씨가 곱다", "고객님께 안내", "원장님 회진", "작가님의 새 책", "입주민님들께"]
)
def test_forms_of_address_without_a_name(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    ("chat", "speakers"),
    [
        ("하늘: 언니 나 오늘 못 가요\n이미나: 왜요 무슨 일 있어요?", {"하늘", "이미나"}),
        ("[09:10] 도상필: 몇 시에 와요?\n[09:11] 팀장: 7시요", {"도상필"}),
        ("priyanka: can you check the line?\nsupport: ok, give me 10", {"priyanka"}),
    ],
)
def test_speakers_of_a_chat(chat: str, speakers: set[str]) -> None:
    assert set(persons(chat)) == speakers


@pytest.mark.parametrize(
    "text",
    [
        "고객: 번호가 어떻게 되나요?\n상담원: 잠시만요",
        "품종: 신동진\n등급: 특\n중량: 4120",
        "agent: are you there?\ncustomer: yes, one moment please",
    ],
)
def test_roles_and_forms_are_not_speakers(text: str) -> None:
    assert persons(text) == []


def test_a_name_is_found_at_its_other_places() -> None:
    text = "소병구 반장이 신고했다. 오후에 소병구가 현장을 정리했다."
    assert persons(text) == ["소병구", "소병구"]
    text = "Mr Roscoe Tibbetts called twice. Tibbetts pays on Monday. I asked 'Tibbetts', then wrote to Tibbetts."
    assert persons(text) == ["Roscoe Tibbetts", "Tibbetts", "Tibbetts", "Tibbetts"]


def test_a_name_inside_another_word_is_not_repeated() -> None:
    text = "Mr Roscoe Tibbetts called twice. See Tibbetts.txt and docs/Tibbetts, then ask Tibbetts."
    found = get_pii_detector().scan_text(text)
    assert [each.start for each in found] == [text.index("Roscoe"), text.rindex("Tibbetts")]


def test_a_name_is_repeated_behind_many_other_findings() -> None:
    addresses = " ".join(f"m{number}@example.org" for number in range(300))
    assert persons(f"{addresses} Mr Roscoe Tibbetts called. Later Tibbetts pays.") == ["Roscoe Tibbetts", "Tibbetts"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("From: Henrike Pohl <h.pohl@example.org>\nSubject: meter", "Henrike Pohl"),
        ("BEGIN:VCARD\nFN:Dervla Kirwan-Shaw\nEND:VCARD", "Dervla Kirwan-Shaw"),
        ("ATTENDEE;CN=천하태:mailto:move@example.net", "천하태"),
        ("Agent: hello, this is Consuelo.", "Consuelo"),
        ("Neighbor Flo ok with a ladder on her side", "Flo"),
        ("Ask for Morag at the gate", "Morag"),
    ],
)
def test_names_in_headers_cards_and_introductions(text: str, name: str) -> None:
    assert name in persons(text)


@pytest.mark.parametrize(
    "text", ["From: Billing Support <billing@example.org>", "N: 12\nFN: 7", "ask for Help at any time"]
)
def test_other_words_in_headers_and_introductions(text: str) -> None:
    assert persons(text) == []


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ('{"lead": "Grant Mason", "site": "C"}', "Grant Mason"),
        ('{"wkrNm": "편도식", "dayWage": 215000}', "편도식"),
        ('{"merged_by": "Cletus Broussard"}', "Cletus Broussard"),
        ('{"guard": "김석철", "plates": ["310다5304"]}', "김석철"),
        ('parsed: booking=HDM7719 trucker="도상필" size=40', "도상필"),
        ('{"crew": [{"fam": "WIN", "giv": "THET"}]}', "WIN"),
    ],
)
def test_fields_that_can_name_a_person(record: str, name: str) -> None:
    assert name in persons(record)


@pytest.mark.parametrize(
    "record",
    [
        '{"lead": "Platform Team"}',
        '{"선명": "유진호", "톤수": 9.77}',
        '{"track": "민지에게", "isrc": "KR-A1B-26-00412"}',
        '{"npc": [{"name": "하란", "quest": "Q-2201"}]}',
        '{"vsl": "금강호", "berth": "B-2"}',
        '{"name": "김치", "species": "cat", "breed": "Korean Shorthair"}',
        '{"operator": "Korea Telecom", "speaker": "Left Channel"}',
    ],
)
def test_fields_of_things_and_groups(record: str) -> None:
    assert persons(record) == []


@pytest.mark.parametrize(
    "text",
    [
        "The house is 2 Shore Cottages, Plockton IV52 8TL.",
        "Deliver to The Old Forge, Church Ln, Diss IP22 4BQ please",
        "Flat 9, Kelp House, Dock St, Dundee DD1 3DR",
    ],
)
def test_british_addresses_end_with_the_postcode(text: str) -> None:
    found = [each for each in get_pii_detector().scan_text(text) if each.kind == PIIKind.ADDRESS]
    assert len(found) == 1
    assert text[: found[0].end].endswith(("8TL", "4BQ", "3DR"))
