"""A call searches a text once, however often the text occurs in its arguments and results."""

from collections.abc import Callable

import pytest

from security_common.pii import FieldContext, Finding, PIIDetector, field_context, member_contexts
from security_common.tool_policy.call_findings import CallFindings
from security_common.tool_policy.clean_texts import CleanTexts

WITHOUT_PERSONAL_DATA = "The parcel with number 12 is at the back door, and nobody has to sign for it on Tuesday."
WITH_PERSONAL_DATA = "Please call 010-2345-6789 about the parcel at the back door."


class CountingDetector(PIIDetector):
    """Counts the texts that it searches."""

    searches = 0

    def scan_text(
        self, text: str, *, field_name: str | None = None, context: FieldContext | None = None
    ) -> list[Finding]:
        """The findings."""
        self.searches += 1
        return super().scan_text(text, field_name=field_name, context=context)


@pytest.fixture
def detector() -> CountingDetector:
    return CountingDetector()


@pytest.fixture
def find(detector: CountingDetector) -> Callable[[str, FieldContext | None], object]:
    return CallFindings(detector, CleanTexts()).find


@pytest.mark.parametrize("text", [WITHOUT_PERSONAL_DATA, WITH_PERSONAL_DATA])
def test_a_text_is_searched_once(
    text: str, detector: CountingDetector, find: Callable[[str, FieldContext | None], object]
) -> None:
    (of_argument,) = member_contexts([("text", text)])
    found = [find(text, context) for context in (of_argument, field_context("text"), None)]
    assert found == [PIIDetector().scan_text(text)] * len(found)
    assert detector.searches == 1


def test_a_text_is_searched_again_in_a_context_that_says_something(
    detector: CountingDetector, find: Callable[[str, FieldContext | None], object]
) -> None:
    without_label, with_label = find("302-3845-1903-48", None), find("302-3845-1903-48", field_context("계좌번호"))
    assert not without_label
    assert with_label
    assert detector.searches == 2


def test_the_remembered_texts_are_bounded(
    detector: CountingDetector, find: Callable[[str, FieldContext | None], object]
) -> None:
    long_text = WITHOUT_PERSONAL_DATA * 100
    texts = [f"{WITHOUT_PERSONAL_DATA} {number}" for number in range(1000)] + [long_text]
    for text in texts * 2:
        find(text, None)
    assert len(texts) < detector.searches < 2 * len(texts)
    searches = detector.searches
    find(long_text, None)
    assert detector.searches == searches + 1


@pytest.mark.parametrize("name", ["text", "message", "content", "value", "input", "note", "memo", "body", "data"])
@pytest.mark.parametrize("text", ["123-45-6789", "version 10.2.3.4", "M12345678", "홍길동", WITH_PERSONAL_DATA])
def test_a_context_that_says_nothing_changes_no_finding(name: str, text: str) -> None:
    context = field_context(name)
    if context.says_nothing:
        assert PIIDetector().scan_text(text, context=context) == PIIDetector().scan_text(text)
    else:
        assert context.label_text or context.affects_search
