"""The speakers of a chat: words before a colon at the beginning of lines that contain what persons say.

    하루: 언니 나 이번 주 청소 못 가          a name that is also a word
    이미나: 왜 무슨 일 있어?
    priyanka: line test in 10              a first name in lower case
    고객: 번호 알려 주세요                    a role is not a name

The lines of a form or a log have no sentences behind the colon. The work is linear in the length of the text.
"""

import re
from collections.abc import Iterator

from security_common.pii.finding import Finding, PIIKind
from security_common.pii.given_names import COMMON_GIVEN_NAMES
from security_common.pii.korean_words import is_derived_word, is_listed_word, is_ordinary_word
from security_common.pii.labels import LabelledText
from security_common.pii.latin_names import ORDINARY_WORDS, SENTENCE_WORDS, in_list_form, is_family_name, is_first_name
from security_common.pii.names_in_fields import ENDINGS_OF_ROLES, SURNAMES, WORDS_AS_NAMES, is_not_a_name
from security_common.pii.names_in_hangul import is_name_in_hangul
from security_common.pii.rules import Rule

__all__ = ["CHAT_SPEAKERS"]

_LINE = re.compile(
    r"(?:^|(?<=\n))(?:\[[^\]\n]{1,24}\][ ]?|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?[ ]){0,2}"
    r"(?P<speaker>[가-힣]{2,6}|[A-Za-zÀ-ž][A-Za-zÀ-ž'’\-]{1,20}(?: [A-ZÀ-Ž][A-Za-zÀ-ž'’\-]{1,20}){0,2})"
    r"(?: ?\([^()\n]{1,12}\))?[ ]?:[ ](?P<words>[^\n]{1,400})"
)
_MIN_LINES = 2
_SENTENCE_IN_KOREAN = re.compile(
    r"(?:[요다까죠네지야어아해음함]|[가-힣]고|[가-힣]는데|[ㅋㅎㅠㅜㅇㄴ]|넵|예)(?=[.?!~…^)]*(?:\s|$))|[?~]"
)
_SENTENCE_IN_ENGLISH = re.compile(
    r"\?|\b(?i:im?|i'm|you|we|he|she|they|my|your|is|are|was|can|will|please|thanks|thx|ty|ok|okay|yes|yeah|yep|no|nope"
    r"|hi|hey|hello|sorry|lol|got|need|let|its|it's|thats|that's)\b"
)
_ENDINGS_OF_OTHER_SPEAKERS = (*ENDINGS_OF_ROLES, "센터", "팀", "실", "님", "봇", "반")
_USUAL_LENGTH = 3


def _find_speakers(source: LabelledText) -> Iterator[Finding]:
    lines = list(_LINE.finditer(source.text))
    if len(lines) < _MIN_LINES or 2 * sum(map(_is_speech, lines)) < len(lines):
        return
    for line in lines:
        if _is_name(line["speaker"]):
            yield Finding(PIIKind.PERSON, *line.span("speaker"), 0.64, "speaker")


def _is_speech(line: re.Match[str]) -> bool:
    words = line["words"]
    return _SENTENCE_IN_KOREAN.search(words) is not None or _SENTENCE_IN_ENGLISH.search(words) is not None


def _is_name(speaker: str) -> bool:
    if speaker[0] >= "가":
        return _is_name_in_hangul(speaker)
    words = [in_list_form(word) for word in speaker.split(" ")]
    if words[0] in ORDINARY_WORDS or words[0] in SENTENCE_WORDS:
        return False
    return is_first_name(words[0]) or (len(words) > 1 and is_family_name(words[-1]))


def _is_name_in_hangul(word: str) -> bool:
    if is_not_a_name(word):
        return False
    if is_name_in_hangul(word) or word in WORDS_AS_NAMES or (word in COMMON_GIVEN_NAMES and not is_ordinary_word(word)):
        return True
    if len(word) != _USUAL_LENGTH or word[0] not in SURNAMES:
        return False
    if word[1:] in COMMON_GIVEN_NAMES:
        return not is_listed_word(word)
    return not (is_ordinary_word(word) or is_derived_word(word) or word.endswith(_ENDINGS_OF_OTHER_SPEAKERS))


CHAT_SPEAKERS = Rule("[A-Za-zÀ-ž가-힣)'’-] ?: ", _find_speakers, also_required="\n")
