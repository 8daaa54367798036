"""Tables in every way of writing, and SQL statements: each value is found by the heading of its column."""

import pytest

from security_common.pii import get_pii_detector

ROW = [("PERSON", "하결"), ("DATE_OF_BIRTH", "1969-02-10"), ("PERSON", "표으뜸")]


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.kind.value, text[finding.start : finding.end]) for finding in get_pii_detector().scan_text(text)]


@pytest.mark.parametrize(
    "text",
    [
        "emp_nm,birth,mgr_nm\n하결,1969-02-10,표으뜸\n",
        "emp_nm\tbirth\tmgr_nm\n하결\t1969-02-10\t표으뜸\n",
        "성명 / 생일 / 담당자\n하결 / 1969-02-10 / 표으뜸\n",
        "성 명      생년월일       담당자\n하결       1969-02-10     표으뜸\n",
        "  NAME  BIRTH       MANAGER\n  ----- ----------- -------\n  하결  1969-02-10  표으뜸\n\n1 row selected.",
        "| 성명 | 생일 | 담당자 |\n|---|---|---|\n| 하결 | 1969-02-10 | 표으뜸 |\n",
        "+----+----+\n| nm | birth | mgr_nm |\n+----+----+\n| 하결 | 1969-02-10 | 표으뜸 |\n+--+\n",
        "│ nm │ birth │ mgr_nm │\n├────┼──────┼────────┤\n│ 하결 │ 1969-02-10 │ 표으뜸 │\n└────┴──────┴────┘\n",
        " emp_nm | birth      | mgr_nm \n--------+------------+--------\n 하결   | 1969-02-10 | 표으뜸\n(1 row)\n",
        "select emp_nm, birth, mgr_nm from emp where id = 7;\n하결\t1969-02-10\t표으뜸\n",
        "SQL> SELECT e.emp_nm, e.birth AS birth, m.mgr_nm FROM emp e\n하결|1969-02-10|표으뜸\n",
        "INSERT INTO emp (emp_nm, birth, mgr_nm) VALUES ('하결', '1969-02-10', '표으뜸');",
        "insert into hr.emp(id, emp_nm, birth, mgr_nm)\nvalues (7, N'하결', '1969-02-10', '표으뜸')",
        "INSERT INTO emp (emp_nm, n, birth, mgr_nm) VALUES (NULL, 1, NULL, NULL), ('하결', 2, '1969-02-10', '표으뜸');",
    ],
)
def test_the_heading_says_what_a_cell_is(text: str) -> None:
    assert found(text) == ROW


@pytest.mark.parametrize(
    "text",
    [
        "상품 / 가격 / 담당팀\n이유식 / 9000 / 영업\n",
        "item_nm     price    stock\n이유식      9000     3\n",
        "select prd_nm, price from prd;\n이유식\t9000\n",
        "INSERT INTO prd (prd_nm, price, brand) VALUES ('이유식', 9000, '폴 스미스');",
        "성명 / 생일 입력란이 비었습니다\n확인 / 취소 / 다시 시도\n",
    ],
)
def test_things_in_tables_are_not_persons(text: str) -> None:
    assert found(text) == []


def test_a_sentence_with_slashes_below_a_table_is_not_a_row() -> None:
    assert found("성명 / 생일\n하결 / 1969-02-10\n다음 / 이전 / 처음으로\n") == ROW[:2]
