"""No cell of a CSV file can be executed as a formula in a spreadsheet."""

import csv
import io

import pytest

from security_common.audit.reading.export import COLUMNS, safe_cell


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
        *("＝1+1", "＋1", "－1", "＠SUM(A1)", "﹦1", "﹢1", "﹣1", "﹫x", "\u22121"),
        *(" =1", "\u3000＝1", "\u200b=1", "\ufeff=1", "\x00=1"),
    ],
    ids=ascii,
)
def test_a_text_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "u_abc", "a=b", "EMAIL=1", "2026-11-30T00:00:00+00:00", "홍길동", "127.0.0.1"])
def test_other_texts_are_not_changed(text: str) -> None:
    assert safe_cell(text) == text


def test_the_header_needs_no_apostrophes() -> None:
    """It is written without `safe_cell`."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(COLUMNS)
    assert out.getvalue() == ",".join(map(safe_cell, COLUMNS))
