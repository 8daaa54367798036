"""The rules for numbers, secrets and e-mail addresses do linear work for hostile texts. Steps are counted, not time."""

import sys
from collections.abc import Callable
from datetime import date
from types import FrameType
from typing import Any

import pytest

from security_common.pii.credentials import CREDENTIALS
from security_common.pii.email_addresses import EMAIL_ADDRESSES
from security_common.pii.labelled_codes import LABELLED_CODES
from security_common.pii.labels import LabelledText
from security_common.pii.named_secrets import NAMED_SECRETS
from security_common.pii.national_ids import NATIONAL_CODES
from security_common.pii.number_rules import NUMBERS
from security_common.pii.secret_tokens import SECRET_TOKENS

_RULES = (NUMBERS, NATIONAL_CODES, LABELLED_CODES, EMAIL_ADDRESSES, SECRET_TOKENS, CREDENTIALS, NAMED_SECRETS)
_PIECES = {
    "amounts": "1,234,567,",
    "amounts-with-spaces": "1,234,567 ",
    "slashes": "/123456789",
    "dots": "123.456.789-",
    "plus-signs": "+82 10-1234-5678 ",
    "groups-of-four": "4012 4033 4051 ",
    "list-of-numbers": "[4539578763621486, ",
    "labelled-numbers": "CPF 123.456.789-09 ",
    "codes": "S1234567D AB 12 34 56 C ",
    "mail": "a@example.com ",
    "remote-logins": "ssh a@b.example ",
    "passwords": "password=",
    "short-names": "pw: ",
    "values-apart": "password\n   value",
    "quotes": 'secret"',
    "phrases": "seed phrase abc def ",
    "cookies": "cookie: a=b; ",
    "urls": "a://b:c@d ",
    "manifests": "kind: Secret\ndata:\n  a: bbbb\n",
    "objects": '"kind":"Secret" "data":{',
    "commands": "mysql -u a ",
    "tokens": "eyJaaaaaaaaa.",
    "logins": "login admin / a",
    "labelled-codes": "passport dl license plate A",
    "words-behind-password": "비번 하나 둘 셋 넷 ",
    "phrases-behind-password": "password for a b c d e ",
}


def _steps(work: Callable[[], object]) -> int:
    """The number of lines and calls that Python runs."""
    count = 0

    def trace(_frame: FrameType, _event: str, _argument: Any, /) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", sorted(_PIECES))
def test_a_text_of_four_times_the_length_takes_four_times_the_steps(name: str) -> None:
    counts: list[int] = []
    for length in (1200, 4800):
        piece = _PIECES[name]
        source = LabelledText((piece * (length // len(piece) + 1))[:length], lambda: date(2026, 11, 30))
        counts.append(_steps(lambda source=source: [list(rule.find(source)) for rule in _RULES]))

    short, long = counts
    assert long <= 5 * short + 400
