"""Digits written as something else: in Hangul (공일공 일이삼사) or as letters that look like them (O1O, 0l0)."""

import re

__all__ = ["NEEDS_RESPELLING", "with_digits"]

NEEDS_RESPELLING = r"(?:[공영일이삼사오육륙칠팔구]\s?){3}|[공영][1일]|[oO0][1lI|][oO0]|01[016-9][-. ]?[0-9]{0,3}[oOlI|]"

_SPELLED = "공영일이삼사오육륙칠팔구"
_DIGIT_OF = {
    **dict(zip(_SPELLED, "001234566789", strict=True)),
    **dict.fromkeys("oO", "0"),
    **dict.fromkeys("lI|", "1"),
}
_JOINTS = re.compile("에|다시|하이픈|대시")
_SPOKEN_RUN = re.compile(
    rf"[{_SPELLED}0-9](?:[ \t\n]{{0,2}}(?:[-.,/ㅡ]|{_JOINTS.pattern})?[ \t\n]{{0,2}}[{_SPELLED}0-9]){{8,18}}"
)
_FEWEST_SPOKEN = 9  # nobody writes so many of these syllables in a row and means words
_TO_BE = re.compile("[에예입고며라인죠지]")
_LOOKALIKE_RUN = re.compile(r"(?<![A-Za-z0-9])[0Oo][1lI|][0Oo16789](?:[-. ]?[0-9OolI|]){7,8}(?![A-Za-z0-9])")
_MOBILE = re.compile("010")
_PREFIX = re.compile(r"(?:01[016789]|02|0[3-6][1-5]|070)")


def with_digits(text: str) -> str:
    """The text, as long as before, with such runs in plain digits: of telephones and long ones."""
    respelled = _LOOKALIKE_RUN.sub(lambda match: _plain(match.group()), _SPOKEN_RUN.sub(_spoken, text))
    return text if respelled == text else respelled


def _spoken(match: re.Match[str]) -> str:
    """Only as many digits as the number has: the 이 of 이에요 may follow, which is a digit too."""
    written = match.group()
    plain = _plain(_JOINTS.sub(_dashes, written))
    places = [index for index, char in enumerate(plain) if char.isdigit()]
    digits = "".join(plain[index] for index in places)
    has_particle = written[-1] == "이" and _TO_BE.match(match.string, match.end()) is not None
    size = 11 if _MOBILE.match(digits) else len(digits) - has_particle
    spoken = sum(char in _SPELLED for char in written)
    if spoken < 3 or not (_PREFIX.match(digits) or size == 13 or spoken >= _FEWEST_SPOKEN):
        return written
    end = places[min(size, len(places)) - 1] + 1
    return plain[:end] + written[end:]


def _dashes(joint: re.Match[str]) -> str:
    return "-".ljust(len(joint.group()))


def _plain(written: str) -> str:
    return "".join(_DIGIT_OF.get(char, char) for char in written)
