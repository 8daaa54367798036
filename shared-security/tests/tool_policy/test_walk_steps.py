"""The steps of a walk over data grow as the data does: wide, deep, with equal keys, with many findings."""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from security_common.tool_policy import secure_tool

SIZE, TIMES, MAX_GROWTH = 300, 4, 5.0
"""Linear work takes four times as many steps for four times the data, quadratic work sixteen times as many."""

SHAPES: dict[str, Callable[[int], Any]] = {
    "wide object": lambda size: {f"key{number}": number for number in range(size)},
    "long list": lambda size: [f"010-1234-{number:04}" for number in range(size)],
    "records": lambda size: [{"name": "김민수", "phone": "010-1234-5678"} for _ in range(size)],
    "keys that are equal once masked": lambda size: {f"010-1234-{number:04}": number for number in range(size)},
    "object of objects": lambda size: {f"key{number}": {"phone": "010-1234-5678"} for number in range(size)},
    "table": lambda size: {"columns": ["name", "phone"], "rows": [["김민수", "010-1234-5678"]] * size},
    "wide table": lambda size: {"columns": [f"c{number}" for number in range(size)], "rows": [list(range(size))]},
    "label and value": lambda size: [{"label": "계좌번호", "value": "302-3845-1903-48"} for _ in range(size)],
    "parts of a value": lambda size: {f"tel{number}": "1234" for number in range(size)},
    "JSON in text": lambda size: json.dumps([{"phone": "010-1234-5678"} for _ in range(size)]),
    "long names": lambda size: {"phone_" * size: "010-1234-5678"},
    "bytes": lambda size: b"010-1234-5678 " * size,
    "short texts": lambda size: [f"text {number}" for number in range(size)],
}


def steps_of(work: Callable[[], object]) -> int:
    """How many functions of Python and C a call runs."""
    steps = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal steps
        del frame, argument
        steps += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.parametrize("shape", SHAPES)
def test_a_walk_takes_linear_steps(shape: str) -> None:
    data: Any = SHAPES["records"](1)

    @secure_tool(pii_policy="mask")
    def look_up() -> Any:
        return data

    look_up()  # what is done once for a process is not counted
    data = SHAPES[shape](SIZE)
    once = steps_of(look_up)
    data = SHAPES[shape](TIMES * SIZE)
    more = steps_of(look_up)
    assert more <= MAX_GROWTH * once, f"{once} steps for {SIZE}, {more} for {TIMES * SIZE}"
