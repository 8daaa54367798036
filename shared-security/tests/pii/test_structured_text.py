"""Texts with structure: JSON, tables and `key: value` lines keep their form, and every value has its context."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_steps import count_python_steps

from security_common.pii import PIIKind, get_pii_detector, member_contexts

detector = get_pii_detector()
ACCOUNT, PHONE, CARD = "302-3845-1903-48", "010-1234-5678", 4111111111111111


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.kind.value, text[finding.start : finding.end]) for finding in detector.scan_text(text)]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('Result: {"phone": 1012345678, "rate": 1}', 'Result: {"phone": 0, "rate": 1}'),
        (f'{{"card": {CARD}, "rate": 1.10, "e": 1e5}}', '{"card": 0, "rate": 1.10, "e": 1e5}'),
        (f'{{"card":{CARD}.0}}', '{"card":0}'),
        (f'a {{"card": {CARD}}} b {{"card": {CARD}}} c', 'a {"card": 0} b {"card": 0} c'),
        (f'{{"n": 1}}\n{{"phone": "{PHONE}"}}\n', '{"n": 1}\n{"phone": "010-****-5678"}\n'),
        (f'[ "x" ,"{PHONE}" ]', '[ "x" ,"010-****-5678" ]'),
        (
            f"{{'tel': 1012345678, 'ok': True, 'none': None, 'p': '{PHONE}'}}",
            "{'tel': 0, 'ok': True, 'none': None, 'p': '010-****-5678'}",
        ),
        (f'{{name: "x", card: {CARD}}}', '{name: "x", card: 0}'),
        (f'{{"a": "{PHONE}", "a": {CARD}, "a": 1}}', '{"a": "010-****-5678", "a": 0, "a": 1}'),
        ('{"in": "{\\"card\\": 4111111111111111, \\"n\\": 1}"}', '{"in": "{\\"card\\": 0, \\"n\\": 1}"}'),
        (f'{{"계좌번호": "{ACCOUNT}", "cut": "yes', '{"계좌번호": "***-****-**03-48", "cut": "yes'),
        (f'{{"cut": 1, "계좌번호": "{ACCOUNT}', '{"cut": 1, "계좌번호": "***-****-**03-48'),
        ('{"email": "hong\\u0040example.com"}', '{"email": "h***@example.com"}'),
    ],
)
def test_json_in_a_text_stays_json(text: str, masked: str) -> None:
    assert detector.mask_text(text) == masked
    assert detector.mask_text(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        '{"campaignId": 4539578763621486}',
        '{"acct_code":"101-02-0003"}',
        '[{"id": 1, "name": "이유식", "price": 9000}]',
        'Result: {"name": "Jordan", "type": "country"}.',
        '{"big": 123456789012345678901234567890, "e": 1E+5, "f": 1.10, "neg": -0}',
        '{"timestamp": 1793349728123, "createdAt": "2026-11-28"}',
        "{ }  [ ]\t[1,\n2]",
        "[INFO] 2026-11-28 {not json} [1]",
        "campaignId: 4539578763621486",
        "orderNo=4111111111111111 status=ok",
        "name: 이유식\nprice: 9000\n",
        "- name: Jordan\n  type: country\n",
        "product:\n  name: Jordan\n  sku: A-1\n",
        "<product><name>Jordan</name><price>1</price></product>",
        "이름,가격,재고\n이유식,9000,3\n",
        "name\tcountry\tpopulation\nJordan\tJO\t11000000\n",
        "id,order_no\n1,4111111111111111\n",
        "| 상품명 | 가격 |\n|---|---|\n| 이유식 | 9000 |\n",
        '"a","b"\n"1","2"\n',
    ],
)
def test_what_is_not_personal_data_is_unchanged(text: str) -> None:
    assert detector.scan_text(text) == []
    assert detector.mask_text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"rrno":"2302164234567"}', [("KR_RRN", "2302164234567")]),
        ("rrno=2302164234567", [("KR_RRN", "2302164234567")]),
        (f'{{"acnt_no":"{ACCOUNT}"}}', [("BANK_ACCOUNT", ACCOUNT)]),
        (f"acnt_no: {ACCOUNT}", [("BANK_ACCOUNT", ACCOUNT)]),
        (f'[{{"label": "계좌번호", "value": "{ACCOUNT}"}}]', [("BANK_ACCOUNT", ACCOUNT)]),
        ('{"tel1": "010", "tel2": "1234", "tel3": "5678"}', [("PHONE", "010"), ("PHONE", "1234"), ("PHONE", "5678")]),
        ("tel1: 010\ntel2: 1234\ntel3: 5678\n", [("PHONE", "010"), ("PHONE", "1234"), ("PHONE", "5678")]),
        ("tel1,tel2,tel3\n010,1234,5678\n", [("PHONE", "010"), ("PHONE", "1234"), ("PHONE", "5678")]),
        (f"항목,내용\n계좌번호,{ACCOUNT}\n", [("BANK_ACCOUNT", ACCOUNT)]),
        (f"성명;acnt_no\n-;{ACCOUNT}\n", [("BANK_ACCOUNT", ACCOUNT)]),
        (f"| no | acnt_no | flnm |\n|:--|--:|---|\n| 1 | {ACCOUNT} | - |\n", [("BANK_ACCOUNT", ACCOUNT)]),
        (f"계좌번호\n{ACCOUNT}\n\n끝", [("BANK_ACCOUNT", ACCOUNT)]),
        (f"Summary of today:\n\nid,acnt_no\n1,{ACCOUNT}\n\nbye", [("BANK_ACCOUNT", ACCOUNT)]),
        ("customer:\n  name: Jordan\n", [("PERSON", "Jordan")]),
        ("고객번호|내용\n062-3769-2099|-\n", [("PHONE", "062-3769-2099")]),
        (
            "<Name>Jordan</Name>\n<acnt_no type='x'>302-3845-1903-48</acnt_no>",
            [("PERSON", "Jordan"), ("BANK_ACCOUNT", ACCOUNT)],
        ),
        ("b_no=2208162517 p_nm=장여울", [("BUSINESS_NUMBER", "2208162517"), ("PERSON", "장여울")]),
        ('name,phone\n"Norgay, Tenzin",-\n', [("PERSON", "Norgay, Tenzin")]),
        ('name,salary,note\nTenzin Norgay,"1,200,000",ok\n', [("PERSON", "Tenzin Norgay")]),
        ('note,dob\n"two\nlines, ""quoted""",1991-03-04\n', [("DATE_OF_BIRTH", "1991-03-04")]),
    ],
)
def test_a_value_is_found_by_its_field(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "row",
    [
        "Norgay, Tenzin,212-555-0199",
        '"Norgay, Tenzin,212-555-0199',
        'Tenzin "T" Norgay,x,212-555-0199',
        "Tenzin,Norgay,x,212-555-0199",
    ],
)
def test_everything_is_masked_in_a_row_that_does_not_fit_the_headings(row: str) -> None:
    masked = detector.mask_text(f"name,phone\nA B,C\n{row}\n")
    assert not [part for part in ("Norgay", "Tenzin", "0199") if part in masked]


def test_a_row_with_fewer_cells_is_read_from_the_left() -> None:
    assert found(f"성명,acnt_no,dob\n-,-,-\n-,{ACCOUNT}\n") == [("BANK_ACCOUNT", ACCOUNT)]


_TEXTS = [PHONE, "hong@example.com", "홍길동", "900101-1234568", "이유식", "x", "", 'a "b" \\ c', "줄\n바꿈"]
_VALUES = st.sampled_from([*_TEXTS, CARD, 1012345678, 1.5, -3, 10**30, True, None])
_NAMES = st.sampled_from(
    ["phone", "name", "price", "id", "label", "value", "tel1", "tel2", "email", "성명", "a b", 'q"']
)
_DOCUMENTS = st.recursive(
    _VALUES, lambda each: st.lists(each, max_size=3) | st.dictionaries(_NAMES, each, max_size=4), max_leaves=12
)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return type(value) if isinstance(value, str | bool) or value is None else float


@given(_DOCUMENTS, st.sampled_from([None, 2]), st.booleans(), st.sampled_from(["", "Result: ", "a\n"]))
def test_masked_json_parses_and_has_the_same_shape(
    document: Any, indent: int | None, ascii_only: bool, prefix: str
) -> None:
    text = prefix + json.dumps({"data": document}, indent=indent, ensure_ascii=ascii_only)
    masked = detector.mask_text(text)
    assert _shape(json.loads(masked.removeprefix(prefix))) == _shape({"data": document})
    assert detector.mask_text(masked) == masked


@given(_DOCUMENTS)
def test_values_without_findings_keep_their_spelling(document: Any) -> None:
    text = json.dumps({"data": document}, ensure_ascii=False)
    findings = detector.scan_text(text)
    masked = detector.mask_text(text)
    assert findings or masked == text


_CELLS = st.sampled_from([*_TEXTS, "Norgay, Tenzin", "1,200,000", 'say "x"', "two\nlines", "seoul"])
_HEADINGS = st.lists(
    st.sampled_from(["name", "phone", "성명", "주민번호", "price", "memo", "dob"]), min_size=2, max_size=5, unique=True
)


@given(_HEADINGS, st.data())
def test_masked_csv_keeps_its_rows_and_cells(headings: list[str], data: st.DataObject) -> None:
    row = st.lists(_CELLS, min_size=len(headings), max_size=len(headings))
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([headings, *rows])
    masked = detector.mask_text(written.getvalue())
    read = list(csv.reader(io.StringIO(masked)))
    assert [len(row) for row in read] == [len(headings)] * (len(rows) + 1)
    assert read[0] == headings
    assert detector.mask_text(masked) == masked


@given(st.dictionaries(_NAMES, st.sampled_from(_TEXTS), min_size=1, max_size=5))
def test_json_in_a_text_has_the_findings_of_the_data(record: dict[str, str]) -> None:
    members: list[tuple[object, object]] = list(record.items())
    in_data = [
        finding.kind
        for value, context in zip(record.values(), member_contexts(members), strict=True)
        for finding in detector.scan_text(value, context=context)
    ]
    text = json.dumps(record, ensure_ascii=False)
    assert [finding.kind for finding in detector.scan_text(text)] == in_data


_HOSTILE: dict[str, Callable[[int], str]] = {
    "braces": lambda n: "{" * n,
    "brackets": lambda n: "[" * n,
    "open-objects": lambda n: '{"a":' * (n // 5),
    "open-arrays": lambda n: '["a",' * (n // 5),
    "quotes-in-braces": lambda n: '{"' * (n // 2),
    "escaped-quotes": lambda n: '{"\\"' * (n // 4),
    "members": lambda n: "{" + ",".join(f'"a{number}": 1' for number in range(n // 8)) + "}",
    "one-long-name": lambda n: '{"' + "phone " * (n // 6) + '": "x"}',
    "records": lambda n: "[" + ",".join(['{"name":"x","phone":"1"}'] * (n // 24)) + "]",
    "nested-text": lambda n: json.dumps(json.dumps(json.dumps({"a": ["x"] * (n // 8)}))),
    "long-heading": lambda n: "phone " * (n // 6) + ",name\nx,y\n",
    "many-columns": lambda n: ",".join(["name"] * (n // 10)) + "\n" + ",".join(["x"] * (n // 10)) + "\n",
    "rows": lambda n: "name,phone\n" + "ab,12\n" * (n // 6),
    "quoted-rows": lambda n: "name,phone\n" + '"a""\n' * (n // 5),
    "open-quotes": lambda n: "name,phone\na,b\n" + 'x,"\n' * (n // 4),
    "headers": lambda n: "name,phone\n1,2\n\n" * (n // 16),
    "single-headings": lambda n: "phone\n12\n" * (n // 9),
    "pairs": lambda n: "a=1 " * (n // 4),
    "yaml": lambda n: "name: x\n" * (n // 8),
    "pairs-on-a-line": lambda n: "id: 12, " * (n // 8),
    "pairs-with-quotes": lambda n: 'a="b ' * (n // 5),
    "elements": lambda n: "<a>x</a>" * (n // 8),
    "open-elements": lambda n: "</" + "<a x" * (n // 4),
    "pipes": lambda n: "|" * n,
    "words-with-dots": lambda n: "a." * (n // 2) + "=1",
}


@pytest.mark.parametrize("name", sorted(_HOSTILE))
def test_work_is_linear_for_hostile_structures(name: str) -> None:
    count_python_steps(_HOSTILE[name](4800))  # fills the caches of names
    short, long = (count_python_steps(_HOSTILE[name](length)) for length in (1200, 4800))
    assert long <= 5 * short + 1000


def test_numbers_of_personal_data_keep_a_document_valid_with_every_value() -> None:
    rng = Random(7)
    for _ in range(50):
        document = {"phone": 1000000000 + rng.randrange(99999999), "rate": rng.random(), "card": CARD}
        masked = json.loads(detector.mask_text(json.dumps(document)))
        assert masked["rate"] == document["rate"]
        assert masked["card"] == 0


RESIDENT_NUMBER = 8801011234568


@given(st.integers(min_value=-20, max_value=400), st.sampled_from(["e", "E"]))
def test_a_number_is_found_with_every_exponent(places: int, letter: str) -> None:
    """The value 8801011234568, written with the decimal point moved to the left or with more zeros."""
    digits = str(RESIDENT_NUMBER) + "0" * max(0, -places)
    padded = digits.zfill(places + 1) if places > 0 else digits
    mantissa = f"{padded[:-places]}.{padded[-places:]}" if places > 0 else padded
    written = f"{mantissa}{letter}{places:+}"
    assert Decimal(written) == RESIDENT_NUMBER
    assert detector.mask_text(f'{{"memo": {written}}}') == '{"memo": 0}'


@pytest.mark.parametrize(
    "number", ["9" * 41, "9" * 700, "9" * 5000, f"{'9' * 50}.5", "1e39", "1e40", "1234567890E+999999999999"]
)
def test_a_number_of_any_length_is_searched_in_its_field(number: str) -> None:
    assert detector.mask_text(f'{{"password": {number}, "n": 1}}') == '{"password": 0, "n": 1}'


@pytest.mark.parametrize("number", ["1e-999999999999", "0e5", "1E5", "-0.0", "1.5e-3", "12345e400"])
def test_a_number_without_personal_data_keeps_its_spelling(number: str) -> None:
    assert found(f'{{"memo": {number}}}') == []


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("010-1234-5678", "010-****-5678"),
        ("01012345678", "010****5678"),
        ("010.1234.5678", "010.****.5678"),
        ("010 1234 5678", "010 **** 5678"),
        ("+82-10-1234-5678", "+82-10-****-5678"),
        ("880101-1234568", "880101-1******"),
        ("203.0.113.77", "203.0.*.*"),
    ],
)
@pytest.mark.parametrize(
    "text", ["{{phone: {}}}", '{{"memo": {}}}', '{{"memo": {}, "n": 1}}', "call [{}]", '["a", {}]', '{{"memo": {}']
)
def test_a_value_without_quotes_that_is_not_a_number_is_searched(text: str, written: str, masked: str) -> None:
    assert detector.mask_text(text.format(written)) == text.format(masked)


def test_the_label_before_an_array_of_such_values_counts() -> None:
    assert detector.mask_text("주민번호 [880101-1234567, 880101]") == "주민번호 [880101-1******, 880101]"


@pytest.mark.parametrize(
    "text",
    [
        '{{"mobile_numbers": [{}, {}]}}',
        '{{"contact": {{"mobile_numbers": [{}, {}]}}}}',
        '{{"mobile_numbers": [[{}], [{}]]}}',
        '{{"mobile_numbers": [{}, {}',
    ],
)
def test_every_number_of_an_array_has_the_field_name_of_the_array(text: str) -> None:
    found = detector.scan_text(text.format(1012345678, 1098765432))
    assert [finding.kind for finding in found] == [PIIKind.PHONE, PIIKind.PHONE]
