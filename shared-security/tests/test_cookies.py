"""Cookies by name, as browsers send them."""

import pytest

from security_common.cookies import parse_cookies


def test_cookies_are_read_in_the_order_they_were_sent() -> None:
    lines = ['a=1; strange={"x": 1};  b=2\t', "c=3=4; without-value; d="]
    assert list(parse_cookies(lines).items()) == [
        ("a", "1"),
        ("strange", '{"x": 1}'),
        ("b", "2"),
        ("c", "3=4"),
        ("d", ""),
    ]


@pytest.mark.parametrize("space", ["\u0085", "\u00a0", "\u001f", "\u000b"])
def test_other_whitespace_is_part_of_a_cookie_name(space: str) -> None:
    found = parse_cookies([f"__Host-session=own; {space}__Host-session=planted; __Host-session{space}=planted"])
    assert found["__Host-session"] == "own"
