"""The strict JSON parser: what it refuses, and its limits."""

import pytest

from security_common.strict_json import parse_json


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
        ("1.5e3", 1500.0),
        ("null", None),
    ],
)
def test_strict_json_is_parsed(text, value):
    assert parse_json(text.encode(), max_depth=4) == value


def test_an_unterminated_string_full_of_quotes_is_refused_in_linear_time():
    with pytest.raises(ValueError):
        parse_json(b'{"' + b'\\"' * 500_000 + b"[" * 10, max_depth=4)
