"""Generated personal data never leaves a tool: not in results, errors or messages, and not as bare digits."""

import dataclasses
import json
import logging
import re
import traceback
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import mcp_types as types
import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from pydantic import BaseModel

from security_common.tool_policy import ToolPolicyError, current_call, secure_tool

WORDS = st.sampled_from(["", "memo", "확인 바랍니다", "please call", "ok.", "고객", "a/b", "값:", "x=1", "\n-"])
FIELDS = st.sampled_from(["memo", "phone", "이메일", "ssn", "memos", "note", "주민등록번호", "value"])


@dataclasses.dataclass
class Record:
    memo: Any
    more: Any = None


class Model(BaseModel):
    memo: Any
    more: Any = None


def digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


@st.composite
def resident_numbers(draw: st.DrawFn) -> str:
    birth = draw(st.dates(min_value=date(1930, 1, 1), max_value=date(1999, 12, 31)))
    head = f"{birth:%y%m%d}{draw(st.sampled_from('12'))}{draw(st.integers(0, 99_999)):05d}"
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    check = (11 - sum(int(digit) * weight for digit, weight in zip(head, weights, strict=True)) % 11) % 10
    return f"{head[:6]}-{head[6:]}{check}"


@st.composite
def cards(draw: st.DrawFn) -> str:
    head = f"4{draw(st.integers(0, 10**14 - 1)):014d}"
    doubled = (int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(head))
    check = -sum(value - 9 if value > 9 else value for value in doubled) % 10
    number = f"{head}{check}"
    return "-".join(number[start : start + 4] for start in range(0, 16, 4))


EMAILS = st.builds(
    "{}{}@{}.com".format,
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=8),
    digits(10, 99),
    st.sampled_from(["example", "company", "mail"]),
)
PHONES = st.builds("010-{}-{}".format, digits(2000, 9999), digits(1000, 9999))
PLANTED = EMAILS | PHONES | resident_numbers() | cards()


@st.composite
def texts(draw: st.DrawFn, planted: list[str]) -> str:
    """A text of words and personal data; the personal data is added to `planted`."""
    parts = [draw(WORDS)]
    for value in draw(st.lists(PLANTED, max_size=2)):
        planted.append(value)
        parts += [value, draw(WORDS)]
    return " ".join(parts)


@st.composite
def leaves(draw: st.DrawFn, planted: list[str]) -> Any:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        number = draw(cards()).replace("-", "")
        planted.append(number)
        return draw(st.sampled_from([int, Decimal]))(number)
    if kind == 1:
        return draw(st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1, 1))
    text = draw(texts(planted))
    return text.encode() if kind == 2 else text


@st.composite
def data(draw: st.DrawFn, planted: list[str], depth: int = 3) -> Any:
    """Nested data of many types; the personal data in it is added to `planted`."""
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind < 3:
        return draw(leaves(planted))
    parts = [draw(data(planted, depth - 1)) for _ in range(draw(st.integers(0, 3)))]
    if kind == 3:
        return tuple(parts)
    if kind == 4:
        return deque(parts)
    if kind == 5:
        return Record(parts, draw(texts(planted)))
    if kind == 6:
        return Model(memo=parts, more=draw(texts(planted)))
    names = [draw(FIELDS) for _ in parts]
    if kind == 7 and draw(st.booleans()):
        names = [draw(texts(planted)) for _ in parts]
    if kind == 8:
        return OrderedDict(zip(names, parts, strict=True))
    if kind == 9:
        return json.dumps(plain(dict(zip(names, parts, strict=True))), ensure_ascii=draw(st.booleans()))
    return [*parts, dict(zip(names, parts, strict=True))]


def plain(value: Any) -> Any:
    """The data as JSON can represent it."""
    if isinstance(value, Record | Model):
        return {"memo": plain(value.memo), "more": plain(value.more)}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | deque):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    return int(value) if isinstance(value, Decimal) else value


def visible_texts(value: Any) -> Iterator[str]:
    """Every text that a reader of the data can see. Independent of the walk that is under test."""
    if isinstance(value, Record | Model):
        value = vars(value)
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from visible_texts(name)
            yield from visible_texts(item)
    elif isinstance(value, list | tuple | deque):
        for item in value:
            yield from visible_texts(item)
    else:
        yield value.decode() if isinstance(value, bytes) else str(value)


def shape(value: Any, *, without_scalars: bool) -> Any:
    """Types and sizes without values. JSON in a string counts as data."""
    if isinstance(value, Record | Model):
        return type(value), shape(vars(value), without_scalars=without_scalars)
    if isinstance(value, Mapping):
        return type(value), [shape(item, without_scalars=without_scalars) for item in value.values()]
    if isinstance(value, list | tuple | deque):
        return type(value), [shape(item, without_scalars=without_scalars) for item in value]
    if isinstance(value, str) and value.startswith("{") and "enc:" not in value[:5]:
        return str, shape(json.loads(value), without_scalars=without_scalars)
    return None if without_scalars and isinstance(value, int | Decimal | str) else type(value)


def assert_absent(planted: list[str], visible: list[str]) -> None:
    note(str(visible))
    for value in planted:
        bare = re.sub(r"\D", "", value) if value[-1].isdigit() else ""
        for text in visible:
            assert value not in text
            if len(bare) >= 10:
                assert bare not in re.sub(r"\D", "", re.sub(r"enc:v1:[\w:=-]+", "|", text))


@pytest.mark.parametrize("policy", ["mask", "encrypt"])
@given(source=st.data())
def test_results_contain_no_personal_data(policy: Any, source: st.DataObject) -> None:
    planted: list[str] = []
    value = source.draw(data(planted))
    received: list[Any] = []

    @secure_tool(pii_policy=policy)
    def echo(value: Any) -> Any:
        received.append(value)
        return value

    @secure_tool(pii_policy="observe", result_policy=policy)
    def return_value() -> Any:
        return value

    try:
        results = [echo(value), received[0], return_value()]
    except ToolPolicyError as refusal:
        assert policy == "encrypt", "only ciphertext can be refused by a type"
        assert_absent(planted, [str(refusal), refusal.hint])
        return
    for result in results:
        assert_absent(planted, list(visible_texts(result)))
        assert shape(result, without_scalars=policy == "encrypt") == shape(value, without_scalars=policy == "encrypt")
    assert echo(results[0]) == results[0], "protecting the result again changes nothing"
    if not planted:
        assert return_value() == value


def fail_with(error: Exception) -> None:
    raise error


FAILURES = st.sampled_from([ValueError, KeyError, RuntimeError, LookupError, OSError, PermissionError, ToolPolicyError])


@given(source=st.data())
def test_errors_contain_no_personal_data(source: st.DataObject, caplog: pytest.LogCaptureFixture) -> None:
    planted: list[str] = []
    text, other, cause, remark = (source.draw(texts(planted)) for _ in range(4))
    kind = source.draw(FAILURES)
    nested = source.draw(st.booleans())

    @secure_tool(pii_policy="mask")
    def fail() -> None:
        failure = kind(text) if source.draw(st.booleans()) else kind(f"{text} {other}")
        failure.add_note(remark)
        failure.detail = other  # type: ignore[attr-defined]
        try:
            fail_with(KeyError(cause))
        except KeyError as before:
            if nested:
                raise ExceptionGroup(other, [failure]) from None
            raise failure from before

    with pytest.raises(Exception) as caught:
        fail()
    caplog.clear()
    logging.getLogger("tool").error("failed", exc_info=caught.value)
    assert_absent(planted, ["".join(traceback.format_exception(caught.value)), repr(vars(caught.value)), caplog.text])


@given(source=st.data())
def test_messages_contain_no_personal_data(source: st.DataObject) -> None:
    planted: list[str] = []
    text, value = source.draw(texts(planted)), plain(source.draw(data(planted)))
    messages = [
        types.ProgressNotification(params=types.ProgressNotificationParams(progress_token=1, progress=1, message=text)),
        types.LoggingMessageNotification(
            params=types.LoggingMessageNotificationParams(level="info", data={"msg": text, "extra": value})
        ),
        types.ElicitRequest(
            params=types.ElicitRequestFormParams(
                message=text, requested_schema={"type": "object", "properties": {"name": {"type": "string"}}}
            )
        ),
    ]

    @secure_tool(pii_policy=source.draw(st.sampled_from(["mask", "encrypt", "reject"])))
    def send_messages() -> list[str]:
        call = current_call.get()
        assert call is not None
        parameters = [message.params.model_dump(by_alias=True, mode="json") for message in messages]
        sent = [call.protect_message(each) for each in parameters]
        for message, each in zip(messages, sent, strict=True):
            type(message.params).model_validate(each, by_name=False)
        return [text for each in sent for text in visible_texts(each)]

    try:
        visible = send_messages()
    except ToolPolicyError as refusal:
        visible = [str(refusal)]
    assert_absent(planted, visible)
