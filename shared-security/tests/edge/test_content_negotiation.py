"""The Accept header, as RFC 9110 section 12.5.1 defines it."""

import pytest

from security_common.edge.content_negotiation import accepts


@pytest.mark.parametrize(
    ("header", "json", "stream"),
    [
        (None, True, True),
        ("", True, True),
        ("*/*", True, True),
        ("application/json, text/event-stream", True, True),
        ("application/json,text/event-stream", True, True),
        ("Application/JSON", True, False),
        ("application/*", True, False),
        ("text/event-stream", False, True),
        ("text/*;q=0.5", False, True),
        ("application/json; charset=utf-8", True, False),
        ("application/json;q=0, */*", False, True),
        ("*/*;q=0", False, False),
        ("application/json;q=high", True, False),
        ("text/html", False, False),
        (",", False, False),
    ],
)
def test_accept_header(header, json, stream):
    assert (accepts(header, "application/json"), accepts(header, "text/event-stream")) == (json, stream)
