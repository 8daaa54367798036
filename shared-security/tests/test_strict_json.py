"""The strict JSON parser: what it refuses, its limits, and the spelling of numbers."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_common.strict_json import TooManyWrittenNumbers, WrittenNumber, encode_json, parse_json


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"x":{"a":1,"a":2}}',
        "1e400",
        "-1e400",
        "NaN",
        "[Infinity]",
        "1" * 5000,
        "[[[[[1]]]]]",
        '{"a":[{"b":[[1]]}]}',
        '"\\ud800"',
        '"\\uDFFF"',
        "\ufeff{}",
        "{} {}",
        "[1,]",
        '"tab\there"',
        "",
    ],
)
def test_ambiguous_json_is_refused(text):
    with pytest.raises(ValueError):
        parse_json(text.encode(), max_depth=4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[[[[1]]]]", [[[[1]]]]),
        ("[" + ",".join(["[]"] * 50) + "]", [[]] * 50),
        ('"[[[[[[[["', "[[[[[[[["),
        ('"\\"[[[[[["', '"[[[[[['),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\\ud55c\\uae00"', "한글"),
        ('"\\\\ud800"', "\\ud800"),
        ("1.5e3", 1500.0),
        ("null", None),
    ],
)
def test_strict_json_is_parsed(text, value):
    assert parse_json(text.encode(), max_depth=4) == value


def test_an_unterminated_string_full_of_quotes_is_refused_in_linear_time():
    with pytest.raises(ValueError):
        parse_json(b'{"' + b'\\"' * 500_000 + b"[" * 10, max_depth=4)


@pytest.mark.parametrize(
    "text", ["1.10", "[1.10,2.5,3]", '{"a":{"b":[1.0E2,-0.50]}}', "1E3", "3.14159265358979323846264338", '["é",1.20]']
)
def test_numbers_are_written_as_they_were_read(text):
    assert encode_json(parse_json(text.encode(), max_depth=8, keeps_spelling=True)).decode() == text


@pytest.mark.parametrize(("text", "values"), [("[1,2,3]", 4), ('{"a":[{},[]]}', 4), ("[[[]]]", 3), ("7", 1)])
def test_more_values_than_allowed_are_refused(text, values):
    parse_json(text.encode(), max_depth=8, max_values=values)
    if values > 1:
        with pytest.raises(ValueError):
            parse_json(text.encode(), max_depth=8, max_values=values - 1)


def test_commas_and_brackets_in_texts_are_not_values():
    parse_json(json.dumps(["a,b,[c]," * 100, 'x\\",[', "{"]).encode(), max_depth=8, max_values=4)


def test_many_numbers_with_their_spelling_are_written_only_if_that_is_allowed():
    numbers = [WrittenNumber("1.10", 1.1)] * 3
    assert encode_json(numbers, max_written_numbers=3) == b"[1.10,1.10,1.10]"
    with pytest.raises(TooManyWrittenNumbers):
        encode_json([*numbers, 2, numbers[0]], max_written_numbers=3)


def test_a_number_with_the_spelling_of_python_stays_a_number():
    parsed = parse_json(b"[1.5,1.50,7]", max_depth=4, keeps_spelling=True)
    assert parsed == [1.5, WrittenNumber("1.50", 1.5), 7]
    assert parse_json(b"1.50", max_depth=4) == 1.5


@pytest.mark.parametrize("text", ["1e400", "-1.0e999", "NaN", "Infinity"])
def test_a_number_that_is_not_finite_is_refused_with_its_spelling_too(text):
    with pytest.raises(ValueError):
        parse_json(text.encode(), max_depth=4, keeps_spelling=True)


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": [WrittenNumber("1.0E1", 10.0), math.nan]}])
def test_a_number_that_is_not_finite_is_not_written(value):
    with pytest.raises(ValueError):
        encode_json(value)


@pytest.mark.parametrize("value", [object(), [b"a"], {"a": [WrittenNumber("1.10", 1.1), {1}]}])
def test_a_value_that_is_not_json_is_not_written(value):
    with pytest.raises(TypeError):
        encode_json(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_read_with_its_spelling_is_written_with_the_same_spelling(value):
    written = _write(value)
    try:
        parsed = parse_json(written.encode(), max_depth=32, keeps_spelling=True)
    except ValueError:  # a number that no float can hold
        return
    assert encode_json(parsed).decode() == written


def _write(value):
    """Compact JSON, in which a decimal has a spelling of its own."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key, ensure_ascii=False)}:{_write(item)}" for key, item in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, (str, int, type(None))):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:E}" if "E" in str(value) else f"{value:f}.0" if "." not in str(value) else f"{value:f}"


def test_an_escape_beside_a_number_with_its_spelling_is_read():
    parsed = parse_json(b'[1.10,"\\u0041"]', max_depth=4, keeps_spelling=True)
    assert encode_json(parsed) == b'[1.10,"A"]'
