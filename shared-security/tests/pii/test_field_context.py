"""Contexts: what the neighbouring fields of a value say about it."""

from typing import Any

import pytest

from security_common.pii import PIIKind, field_context, get_pii_detector, item_contexts, member_contexts
from security_common.pii.field_context import NO_CONTEXT, FieldContext
from security_common.pii.field_names import MAX_NAME_LENGTH

ACCOUNT = "302-3845-1903-48"


def kinds(value: Any, context: FieldContext | None = None) -> list[str]:
    """The kinds that are found in data, walked as `tool_policy` does."""
    if isinstance(value, dict):
        members = list(value.items())
        contexts = member_contexts(members, context)
        return [kind for (_, item), each in zip(members, contexts, strict=True) for kind in kinds(item, each)]
    if isinstance(value, list):
        contexts = item_contexts(value, context)
        return [kind for item, each in zip(value, contexts, strict=True) for kind in kinds(item, each)]
    return [finding.kind.value for finding in get_pii_detector().scan_text(str(value), context=context)]


@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "name": "이유식", "price": 9000},
        {"name": "Jordan", "type": "country"},
        {"name": "Paris", "country": "FR", "population": 2_100_000},
        {"name": "Victoria", "sku": "A-1", "stock": 3},
        {"title": "Madison", "url": "https://example.com", "version": "1.2"},
        {"이름": "이유식", "가격": 9000, "재고": 3},
        {"명칭": "한라산", "유형": "산"},
        {"name": "Chelsea", "type": "team"},
        {"label": "Florence", "size": 3, "color": "red"},
        {"product": {"name": "Jordan"}},
        {"브랜드": [{"name": "폴 스미스"}, {"name": "김가네"}]},
        {"books": [{"title": "Becoming Marie Curie", "qty": 1}]},
        {"size": [{"name": "Emma", "chest": "84-92"}]},
        {"products": [{"id": 6045366138333, "name": "Charlotte Wrap Dress", "partNo": "CP-6888-SI5"}]},
        {"countries": [{"name": "Jordan"}, {"name": "Georgia"}]},
        {"cities": [{"name": "Charlotte", "lat": 35.2, "lon": -80.8}]},
        {"bucketName": "Jordan Lee"},
    ],
)
def test_the_name_of_a_thing_is_not_a_person(record: Any) -> None:
    assert "PERSON" not in kinds(record)


@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "name": "홍길동", "phone": "x"},
        {"name": "Jordan", "type": "customer"},
        {"name": "Jordan Lee", "email": "x"},
        {"name": "Jordan"},
        {"이름": "홍길동", "부서": "영업", "직급": "과장"},
        {"name": "Chelsea", "dob": "x"},
        {"customer": {"name": "Jordan"}},
        {"employees": [{"name": "홍길동"}, {"name": "Jordan"}]},
        {"name": "홍길동 고객님", "price": 9000},
    ],
)
def test_the_name_of_a_person_is_found(record: Any) -> None:
    assert "PERSON" in kinds(record)


@pytest.mark.parametrize(
    "data",
    [
        {"label": "계좌번호", "value": ACCOUNT},
        {"key": "account_number", "value": ACCOUNT},
        {"name": "bankAccount", "value": ACCOUNT},
        {"field": "계좌", "content": ACCOUNT},
        {"항목": "계좌번호", "내용": ACCOUNT},
        {"question": "환불 계좌번호", "answer": ACCOUNT},
        {"type": "bank account", "number": ACCOUNT},
        ["계좌번호", ACCOUNT],
        [["성명", "홍"], ["계좌번호", ACCOUNT]],
        [["이름", "계좌번호"], ["-", ACCOUNT]],
        [["계좌번호"], [ACCOUNT]],
        {"columns": ["id", "acnt_no"], "rows": [[1, ACCOUNT]]},
        {"columns": [{"name": "id"}, {"name": "acnt_no"}], "data": [[1, ACCOUNT]]},
        {"account": {"number": ACCOUNT}},
        {"계좌번호": {"value": ACCOUNT}},
        {"accounts": {"계좌번호": [ACCOUNT]}},
    ],
)
def test_a_label_counts_in_the_neighbouring_member(data: Any) -> None:
    assert kinds(data) == ["BANK_ACCOUNT"]


@pytest.mark.parametrize(
    "data",
    [
        {"label": "색상", "value": ACCOUNT},
        {"key": "order id", "value": ACCOUNT},
        ["memo", ACCOUNT],
        {"columns": ["id", "memo"], "rows": [[1, ACCOUNT]]},
    ],
)
def test_without_a_label_in_a_neighbouring_member_nothing_is_found(data: Any) -> None:
    assert kinds(data) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("PHONE", {"tel1": "010", "tel2": "1234", "tel3": "5678"}),
        ("PHONE", {"phone_1": 10, "phone_2": 1234, "phone_3": 5678}),
        ("PHONE", {"휴대폰앞": "010", "휴대폰중간": "1234", "휴대폰뒤": "5678"}),
        ("PHONE", {"phoneArea": "02", "phoneExchange": "123", "phoneLine": "4567"}),
        ("PHONE", {"tel": ["010", "1234", "5678"]}),
        ("CREDIT_CARD", {"card1": "4111", "card2": "1111", "card3": "1111", "card4": "1111"}),
        ("CREDIT_CARD", {"cardNo": [4111, 1111, 1111, 1111]}),
        ("KR_RRN", {"rrn_front": "900101", "rrn_back": "1234567"}),
        ("KR_RRN", {"주민번호앞자리": "900101", "주민번호뒷자리": "1234567"}),
        ("KR_RRN", {"jumin1": "900101", "jumin2": "1234567"}),
        ("BANK_ACCOUNT", {"acct1": "302", "acct2": "3845", "acct3": "190348"}),
        ("US_SSN", {"ssn1": "601", "ssn2": "22", "ssn3": "7384"}),
        ("BUSINESS_NUMBER", {"bizno1": "220", "bizno2": "81", "bizno3": "62517"}),
        ("EMAIL", {"email_id": "hong", "email_domain": "example.com"}),
        ("EMAIL", {"email1": "hong", "email2": "example.com"}),
        ("PERSON", {"first_name": "Tenzin", "last_name": "Norgay"}),
        ("PERSON", {"성": "홍", "이름": "길동"}),
        ("PERSON", {"name": {"first": "Tenzin", "last": "Norgay"}}),
        ("PERSON", {"fn": "Priya", "ln": "Natarajan"}),
        ("PERSON", {"surname": "OYELARAN", "given": "MARCUS T"}),
        ("ADDRESS", {"address": {"line1": "418 Juniper Hill Rd", "line2": "Apt 7"}}),
        ("PERSON", {"userFirstName": "길동", "userLastName": "홍"}),
        ("ADDRESS", {"addr1": "서울시 강남구 테헤란로 152", "addr2": "301호"}),
        ("ADDRESS", {"주소": "서울시 강남구 테헤란로 152", "상세주소": "한빛빌딩 3층"}),
        ("DATE_OF_BIRTH", {"birth_year": 1990, "birth_month": 3, "birth_day": 4}),
    ],
)
def test_every_part_of_a_split_value_is_found(kind: str, data: dict[str, Any]) -> None:
    [only] = data.values() if len(data) == 1 else [data]
    assert kinds(data) == [kind] * len(only)


@pytest.mark.parametrize(
    "data",
    [
        {"x1": "010", "x2": "1234", "x3": "5678"},
        {"tel1": "", "tel2": "", "tel3": None},
        {"tel1": "010", "tel2": "none"},
        {"version": ["1", "2", "3"]},
        {"card1": "red", "card2": "blue"},
        {"first": "abc", "last": "xyz"},
        {"range1": 1234, "range2": 567890},
        {"addr1": "-", "addr2": "-"},
        {"email1": "none", "email2": "none"},
        {"id1": "900101", "id2": "1234567"},
    ],
)
def test_other_values_with_numbered_names_are_not_parts(data: Any) -> None:
    assert kinds(data) == []


@pytest.mark.parametrize(
    "data",
    [
        {"campaignId": 4539578763621486},
        {"acct_code": "101-02-0003"},
        {"orderNo": "9001011234568"},
        {"trackingNumber": "4111111111111111"},
        {"createdAt": 1793349728123},
        {"epoch": "8801011234568"},
        {"requestId": "01012345678"},
        {"ids": [4539578763621486, 4111111111111111]},
        {"상품코드": "8801011234568"},
    ],
)
def test_a_name_for_an_identifier_prevents_findings_by_shape(data: Any) -> None:
    assert kinds(data) == []


def test_the_parts_of_a_value_are_masked_completely() -> None:
    members: list[tuple[object, object]] = [("tel1", "010"), ("tel2", "1234"), ("tel3", "5678")]
    detector = get_pii_detector()
    masked = [
        detector.mask_text(str(value), context=context)
        for (_, value), context in zip(members, member_contexts(members), strict=True)
    ]
    assert masked == ["***", "****", "****"]


def test_a_context_has_a_bounded_size_and_no_value() -> None:
    long_name = "phone " * 10_000
    [context] = member_contexts([(long_name, "010-1234-5678")])
    assert len(context.name) <= MAX_NAME_LENGTH
    assert "1234" not in repr(context)
    assert hash(context) == hash(field_context(long_name))


def test_a_large_object_has_a_context_for_every_member() -> None:
    members: list[tuple[object, object]] = [(f"phone{number}", "1234-5678") for number in range(1_000)]
    contexts = member_contexts([*members, (7, "x")])
    assert len(contexts) == 1_001
    assert {context.kind for context in contexts[:-1]} == {PIIKind.PHONE}
    assert contexts[-1] == NO_CONTEXT


@pytest.mark.parametrize("items", [[], [[]], [[], 7], [["이름"], None], [("이름", "계좌")], ["이름"], [None, "x"]])
def test_arrays_of_any_content_have_one_context_for_each_item(items: list[Any]) -> None:
    assert len(item_contexts(items)) == len(items)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"docType": "PASSPORT", "docNo": "CK9KW8108"}, "PASSPORT"),
        ({"docTitle": "U.S. Passport", "docNumber": "548210937"}, "PASSPORT"),
        ({"document": {"type": "passport", "number": "12AB34567"}}, "PASSPORT"),
        ({"doc": "driving_licence", "number": "PUGHJ501177A9AVM"}, "DRIVER_LICENSE"),
        ({"idType": "driverLicense", "idNumber": "D1234567"}, "DRIVER_LICENSE"),
        ({"name": "Jo", "tin_type": "SSN", "tin": "329-19-2902"}, "US_SSN"),
        ({"identifier_type": "ssn", "identifier": "329192902"}, "US_SSN"),
        ({"doc_type": "dni", "doc_number": "12345678Z"}, "NATIONAL_ID"),
        ({"신분증종류": "운전면허증", "신분증번호": "11-23-123456-78"}, "DRIVER_LICENSE"),
        ({"신분증구분": "주민등록증", "번호": "880101-1234568"}, "KR_RRN"),
        ({"type": "지출증빙", "identity": "2208162517", "amount": 275800}, "BUSINESS_NUMBER"),
        ({"type": "소득공제", "identity": "01012345678", "amount": 275800}, "PHONE"),
        ({"bank": "신한", "no": "110123456789"}, "BANK_ACCOUNT"),
        ({"은행명": "농협은행", "번호": ACCOUNT}, "BANK_ACCOUNT"),
        ({"method": "card", "number": "4111-1111-1111-1111"}, "CREDIT_CARD"),
        ({"kind": "Secret", "data": {"db-pass": "czNjcjN0UHc="}}, "SECRET"),
        ({"apiVersion": "v1", "kind": "Secret", "stringData": {"dsn": "s3cr3tPw1"}}, "SECRET"),
        ({"auths": {"https://registry.example.com/v1/": {"auth": "ZGVtbzpzM2NyM3RQdw=="}}}, "SECRET"),
    ],
)
def test_the_kind_of_a_number_may_be_in_another_member(record: Any, kind: str) -> None:
    assert [found for found in kinds(record) if found != "PERSON"] == [kind]


@pytest.mark.parametrize(
    "record",
    [
        {"docType": "invoice", "docNo": "M12345678"},
        {"type": "order", "number": "110-123-456789"},
        {"type": "passport", "status": "expired", "pages": 34},
        {"bank": "신한", "no": 3},
        {"kind": "ConfigMap", "data": {"mode": "production1"}},
        {"kind": "SecretStore", "data": {"mode": "production1"}},
        {"auth": "oauth2", "user": "x"},
        {"auth": "required"},
    ],
)
def test_members_that_are_no_pair_of_kind_and_number_stay(record: Any) -> None:
    assert kinds(record) == []
