"""A long text is searched in slices, with the same findings as the whole text."""

import base64
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.pii import Finding, PIIDetector
from security_common.pii.text_slices import SLICE_CHARS, find_in_slices

DETECTOR = PIIDetector()
RNG = Random(20261130)

PARAGRAPHS = (
    "고객 홍길동님의 연락처는 010-1234-5678이고 주소는 서울특별시 강남구 테헤란로 152, 3층 302호입니다.",
    "Mr. James Miller wrote from james.miller@example.com about order 20261130-77.",
    "주민등록번호: 880101-1234568, 생년월일: 1988-01-01",
    "계좌번호:\n신한은행 110-123-456789 (예금주 김민수)",
    "2026-11-30T09:00:00Z INFO served /v1/items/4539 from 203.0.113.7 in 12.5 ms",
    "Nothing in this sentence belongs to a person, and it is here to make the text longer.",
    "password=Xk29!fjQ2z and card 4111 1111 1111 1111",
    "100 200 300 400 500 600 700 800 900 1000",
)


def found_as_a_whole(text: str) -> set[tuple[str, int, int]]:
    return kinds_and_places(DETECTOR._scan_slice(text))


def found_in_slices(text: str) -> set[tuple[str, int, int]]:
    return kinds_and_places(DETECTOR.scan_text(text))


def kinds_and_places(findings: list[Finding]) -> set[tuple[str, int, int]]:
    return {(each.kind, each.start, each.end) for each in findings}


def long_text(separator: str, seed: int, characters: int = 60_000) -> str:
    rng, parts = Random(seed), list[str]()
    while sum(map(len, parts)) < characters:
        parts.append(rng.choice(PARAGRAPHS))
    return separator.join(parts)


def private_key(lines: int) -> str:
    body = "\n".join(base64.b64encode(RNG.randbytes(48)).decode() for _ in range(lines))
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("separator", ["\n", " ", ", ", ";", "|", "\r\n", "\n\n", "\t"])
@pytest.mark.parametrize("seed", range(3))
def test_slices_have_the_findings_of_the_whole_text(separator: str, seed: int) -> None:
    text = long_text(separator, seed)
    assert found_in_slices(text) == found_as_a_whole(text)


@pytest.mark.parametrize(
    "value",
    [
        private_key(100),
        "Bearer " + base64.b64encode(RNG.randbytes(3000)).decode(),
        base64.b64encode(b"Call 010-1234-5678. " * 1500).decode(),  # a token of 40,000 characters
        "경기도 성남시 분당구 판교역로 235, 에이치스퀘어 엔동 7층 701호",
    ],
)
@pytest.mark.parametrize("distance", [0, 100, 250, 257, 300, 1000, 2303, 5000])
def test_a_long_value_at_the_end_of_a_slice_is_found_as_a_whole(value: str, distance: int) -> None:
    filler = "nothing of interest here " * 1000
    text = f"{filler[: SLICE_CHARS - distance]} {value} {filler}"
    assert found_in_slices(text) == found_as_a_whole(text)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_json_without_white_space_is_cut_between_members(separators: tuple[str, str]) -> None:
    records = [{"id": number, "phone": "010-1234-5678", "mail": "hong@example.com"} for number in range(2000)]
    text = json.dumps(records, separators=separators)
    assert found_in_slices(text) == found_as_a_whole(text)


def test_a_table_keeps_its_headings_in_every_slice() -> None:
    rows = "".join(f"{number},1002-456-{number:06},김민수\n" for number in range(2000))
    found = DETECTOR.scan_text(f"번호,계좌번호,성명\n{rows}")
    assert sum(each.kind == "BANK_ACCOUNT" for each in found) == 2000
    assert sum(each.kind == "PERSON" for each in found) == 2000


@pytest.mark.parametrize("unit", ["a", "1", "1-", "가", "a@b.com", "\u200b", '"', "{", "ab1,"])
def test_a_text_without_a_good_place_is_cut_anyway(unit: str) -> None:
    longest = 0

    def find(start: int, end: int) -> list[Finding]:
        nonlocal longest
        longest = max(longest, end - start)
        return [Finding("EMAIL", start, end, 1, "test")]  # type: ignore[arg-type]

    text = unit * (600_000 // len(unit))
    found = find_in_slices(text, find)
    assert longest <= 2**17
    assert found[-1].end == len(text)


@given(st.lists(st.sampled_from(PARAGRAPHS), min_size=300, max_size=500), st.sampled_from(["\n", " ", ", "]))
def test_slices_have_the_findings_of_any_text(paragraphs: list[str], separator: str) -> None:
    text = separator.join(paragraphs)
    assert found_in_slices(text) == found_as_a_whole(text)
