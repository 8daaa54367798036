"""What leaves a plain function is new: no object of the tool, and no type that shows other content than it has."""

import dataclasses
import json
from collections import deque
from typing import Any

import pytest
from pydantic import BaseModel

from security_common.tool_policy import UnsupportedValue, secure_tool

PHONE, MASKED = "010-1234-5678", "010-****-5678"
CARD = 4111_1111_1111_1111


@secure_tool(pii_policy="mask")
def masked(value: Any) -> Any:
    return value


class Settings(dict[str, Any]):
    """A subclass of dict."""


class Shouting(str):
    """Its methods show another text than the object contains."""

    __slots__ = ()

    def __str__(self) -> str:
        return "nothing"

    __repr__ = __str__


class Hiding(dict[str, Any]):
    """Its methods show other members than the object contains."""

    def items(self) -> Any:
        return {"note": "nothing"}.items()

    def __iter__(self) -> Any:
        return iter(["note"])


class Lazy(list[Any]):
    """Its methods show other items than the object contains."""

    def __iter__(self) -> Any:
        return iter(["nothing"])


class OddNumber(int):
    def __str__(self) -> str:
        return "1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Settings(a="x"), {"a": "x"}),
        (Settings(a=PHONE), {"a": MASKED}),
        (Hiding(a=PHONE), {"note": "nothing"}),
        (Lazy([PHONE]), ["nothing"]),
        (Shouting(PHONE), MASKED),
        (OddNumber(CARD), 0),
        (type("Raw", (bytes,), {})(PHONE.encode()), MASKED.encode()),
        (type("Group", (set,), {})([PHONE]), {MASKED}),
        (type("Pair", (tuple,), {})([PHONE, "x"]), (MASKED, "x")),
    ],
)
def test_subclasses_of_built_in_types_become_the_built_in_type(value: Any, expected: Any) -> None:
    """A serializer reads what the object contains, so both must be what was searched."""
    result = masked([value])[0]
    assert type(result) is type(expected)
    assert result == expected
    assert json.dumps([result], default=str) == json.dumps([expected], default=str)


@dataclasses.dataclass
class Holder:
    items: list[Any]


class HolderModel(BaseModel):
    items: list[Any]


@pytest.mark.parametrize("policy", ["mask", "encrypt", "observe", "reject"])
@pytest.mark.parametrize("make", [list, dict.fromkeys, deque, Holder, lambda items: HolderModel(items=items)])
def test_results_share_no_container_with_the_tool(policy: Any, make: Any) -> None:
    inner: list[Any] = ["x"]
    kept = {"inner": inner, "deep": [{"list": inner}]}
    held = make(["a"]) if make in {list, dict.fromkeys, deque} else make([inner, kept])
    result = secure_tool(pii_policy=policy)(lambda: [held, kept, (inner,), inner])()
    assert result == [held, kept, (inner,), inner]
    before = repr(result)
    inner.append(PHONE)
    kept["late"] = PHONE
    if hasattr(held, "items") and isinstance(held.items, list):
        held.items.append(PHONE)
    elif isinstance(held, dict):
        held[PHONE] = 1
    else:
        held.append(PHONE)
    assert repr(result) == before


def test_arguments_share_no_container_with_the_caller() -> None:
    given = {"inner": ["x"]}
    received: list[Any] = []

    @secure_tool(pii_policy="mask")
    def keep(value: Any) -> None:
        received.append(value)

    keep(given)
    given["inner"].append(PHONE)
    assert received == [{"inner": ["x"]}]


def test_a_type_that_returns_itself_as_its_copy_is_refused() -> None:
    @dataclasses.dataclass
    class Single:
        note: str

        def __copy__(self) -> Any:
            return self

    with pytest.raises(UnsupportedValue, match="cannot be copied"):
        masked(Single("x"))
