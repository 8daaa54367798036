"""Properties for any text: places map back, masks hide values, both gate engines agree, the work is linear."""

import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from pii_corpus import SPELLINGS
from pii_values import KINDS, make
from python_steps import count_python_steps

from security_common.pii import PIIKind, get_pii_detector
from security_common.pii.detector import GATES, MAX_BARE_WORD_LENGTH, PREPARATION_GATES, RULES, open_gates
from security_common.pii.labels import LabelledText
from security_common.pii.normalization import normalize, replace_spoken_digits
from security_common.pii.rules import compile_gates

detector = get_pii_detector()
_PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "주민등록번호 ",
            "연락처: ",
            "계좌 ",
            "국민은행 ",
            "이름: ",
            "님 ",
            "주소: ",
            "생년월일 ",
            "-",
            " ",
            ", ",
            "\n",
        ]
    ),
    st.sampled_from(["%41", "&#64;", "\\u0041", "\u200b", "\u1112\u1169", "*", "***", "-----BEGIN PRIVATE KEY-----"]),
    st.builds(lambda kind, seed: make(kind, Random(seed)), st.sampled_from(sorted(KINDS)), st.integers(0, 10_000)),
)
_TEXTS = st.lists(_PIECES, max_size=8).map("".join)
_PARTS = """
홍길동 김민준 남궁민수 박별 정보라 민지 길동 마이클 존슨 응우옌 티 란 왕웨이 바트 볼드 王小明 田中 太郎
님 씨 한테 이가 과장 입니다 담당자 이름 고객 은 name Full first_name : | = , · / ( ) [ ] " ' - .
J. Smith Oliver O'Connor Kim Min-su VAN van de Mr. by from dear I am said will is 's a Z é Đ 1 010-1234-5678
생일 생 년생 출생 dob born 1988-01-01 88 88.1.1 880101 F/ /남 b. 앞자리 12 Main Street 42nd rue de Jalan Box 서울
12-345678-90 M12345678 M123A4567 S1234567D A123456(3) 12345678Z AB 12 34 56 C 공일공 일이삼사 o1o OlO
"""
_SEPARATORS = (" ", " ", "  ", "\n", "\t", "\x0c", ": ", ", ", " 님", "은 ")
_PARTS_AND_SEPARATORS = st.sampled_from([*_PARTS.split(), *_SEPARATORS])
_TEXTS_OF_PARTS = st.lists(st.one_of(_PARTS_AND_SEPARATORS, st.text(max_size=4)), max_size=8).map("".join)
_PLANTED = (
    ("주민등록번호 {} 입니다", "KR_RRN"),
    ("연락처: {}", "PHONE"),
    ("신용카드 {}", "CREDIT_CARD"),
    ("계좌번호는 {} 입니다", "BANK_ACCOUNT"),
    ("메일 {} 로", "EMAIL"),
    ("여권번호 {}", "PASSPORT"),
    ("면허번호 {}", "DRIVER_LICENSE"),
    ("사업자등록번호 {}", "BUSINESS_NUMBER"),
    ("token={}", "SECRET"),
    ("생년월일: {}", "DATE_OF_BIRTH"),
)


@given(_TEXTS)
def test_findings_are_inside_the_text_and_in_order(text: str) -> None:
    found = detector.scan_text(text)

    previous_end = 0
    for finding in found:
        assert previous_end <= finding.start < finding.end <= len(text)
        assert 0 < finding.score <= 1
        assert finding.kind in PIIKind
        previous_end = finding.end


@given(_TEXTS)
def test_masking_a_masked_text_changes_nothing(text: str) -> None:
    masked = detector.mask_text(text)

    assert detector.mask_text(masked) == masked


@given(st.sampled_from(_PLANTED), st.integers(0, 100_000))
def test_a_masked_text_contains_neither_a_value_nor_its_digits(planted: tuple[str, str], seed: int) -> None:
    sentence, kind = planted
    value = make(kind, Random(seed))

    masked = detector.mask_text(sentence.format(value))

    digits = re.sub(r"\D", "", value)
    assert value not in masked
    assert len(digits) < 6 or digits not in re.sub(r"\D", "", masked)


@given(st.sampled_from(sorted(SPELLINGS)), st.integers(0, 100_000))
def test_findings_in_unusual_spellings_cover_the_whole_value(spelling: str, seed: int) -> None:
    rng = Random(seed)
    value = f"010-{rng.randint(2000, 9999)}-{rng.randint(0, 9999):04}"
    kinds, write = SPELLINGS[spelling]
    if "PHONE" not in kinds:
        value = "hong@example.com"
    if not {"PHONE", "EMAIL"} & set(kinds):
        return
    written = write(value, rng)
    text = f"연락처: {written} 입니다"

    [found] = detector.scan_text(text)

    assert text[found.start : found.end] == written


@given(st.text())
def test_every_normalized_character_has_a_place_in_the_original(text: str) -> None:
    normalized = normalize(text)

    for index in range(len(normalized.text)):
        start, end = normalized.original_span(index, index + 1)
        assert 0 <= start < end <= len(text)


open_gates_without_re2 = compile_gates(GATES, engine=None)


@given(st.one_of(_TEXTS, _TEXTS_OF_PARTS))
@example("IS²")
def test_the_standard_library_opens_the_same_gates_as_re2(text: str) -> None:
    assert open_gates(text) == open_gates_without_re2(text.encode(errors="replace").decode())


@given(_TEXTS_OF_PARTS)
@example("J. Smith by\nOliver")
def test_no_gate_hides_what_its_rule_would_find(text: str) -> None:
    text = replace_spoken_digits(normalize(text).text)
    rules = [
        (gate, rule)
        for gate, rule in enumerate(RULES, start=len(PREPARATION_GATES))
        if re.search(rule.also_required, text)
    ]
    source = LabelledText(text, date.today)

    are_open = open_gates(text)

    hidden = [rule.find.__name__ for gate, rule in rules if gate not in are_open and list(rule.find(source))]
    assert hidden == []


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", max_size=MAX_BARE_WORD_LENGTH))
@example("password")
@example("OliviaSmith")
def test_no_rule_finds_anything_in_a_few_letters(text: str) -> None:
    """The detector does not apply the rules to such a text."""
    source = LabelledText(text, date.today)

    assert [rule.find.__name__ for rule in RULES if list(rule.find(source))] == []


@given(_TEXTS, st.sampled_from(["phone", "주민등록번호", "user.name", "", "계좌", "memo"]))
@settings(max_examples=50)
def test_findings_under_a_field_name_are_inside_the_value(text: str, field_name: str) -> None:
    for found in detector.scan_text(text, field_name=field_name):
        assert 0 <= found.start < found.end <= len(text)


_HOSTILE: dict[str, Callable[[int], str]] = {
    "digits": lambda n: "1" * n,
    "digit-dash": lambda n: "1-" * (n // 2),
    "threes": lambda n: "123 " * (n // 4),
    "zeros": lambda n: "01 " * (n // 3),
    "accounts": lambda n: "계좌 " + "123 " * (n // 4),
    "digit-space": lambda n: "12 " * (n // 3),
    "a-dot": lambda n: "a." * (n // 2),
    "a-at": lambda n: "a@" * (n // 2),
    "mail-without-end": lambda n: "a" * n + "@",
    "colons": lambda n: ":" * n,
    "hex-colon": lambda n: "ab:" * (n // 3),
    "names": lambda n: "김이박" * (n // 3),
    "table": lambda n: "이름,전화\n" + "김이박,11\n" * (n // 7),
    "roads": lambda n: "가나다로 " * (n // 5),
    "areas": lambda n: "서울시 강남구 " * (n // 8),
    "numbers-of-houses": lambda n: "1동 " * (n // 3),
    "capitals": lambda n: "Aa " * (n // 3),
    "street": lambda n: "12 " + "Aa " * (n // 3),
    "labels": lambda n: "계좌번호 " * (n // 5),
    "quotes": lambda n: '"' * n,
    "begin-key": lambda n: "-----BEGIN PRIVATE KEY-----" * (n // 27),
    "tokens": lambda n: "eyJaaaaaaaaa." * (n // 13),
    "password": lambda n: "password=" * (n // 9),
    "urls": lambda n: "http://a:" * (n // 9),
    "percent": lambda n: "%41" * (n // 3),
    "entities": lambda n: "&#49;" * (n // 5),
    "zero-width": lambda n: "1\u200b" * (n // 2),
    "jamo": lambda n: "\u1112\u1169" * (n // 2),
    "spoken": lambda n: "공일" * (n // 2),
    "base64": lambda n: "QUJD" * (n // 4),
    "spaces": lambda n: " " * n,
    "brackets": lambda n: "(" * n,
    "born": lambda n: "생 88." * (n // 5),
    "birthdays": lambda n: "생일 1.1 " * (n // 7),
    "halves": lambda n: "주민번호 900101 가" * (n // 13),
    "streets-abroad": lambda n: "Rue Aa Weg " * (n // 11),
    "addresses": lambda n: "address: Aa, 1 " * (n // 15),
    "towers": lambda n: "가빌딩1층" * (n // 5),
    "particles": lambda n: "Aa van der " * (n // 11),
    "iban": lambda n: "DE89 " * (n // 5),
}


@pytest.mark.parametrize("name", sorted(_HOSTILE))
def test_work_is_linear_for_hostile_texts(name: str) -> None:
    short, long = (count_python_steps(_HOSTILE[name](length)) for length in (300, 1200))

    assert long <= 5 * short + 400
