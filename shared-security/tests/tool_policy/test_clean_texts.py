"""Clean texts are remembered with their context, in bounded memory, and those that repeat are kept."""

from security_common.pii import field_context, item_contexts
from security_common.tool_policy.clean_texts import CleanTexts

MANY = 20_000


def test_a_text_is_remembered_only_in_its_context() -> None:
    texts = CleanTexts()
    texts.add("active", field_context("status"))
    assert texts.contains("active", field_context("status"))
    assert not texts.contains("active", field_context("name"))
    assert not texts.contains("active", None)


def test_a_text_that_repeats_is_kept_while_others_pass() -> None:
    texts = CleanTexts()
    texts.add("active", None)
    for number in range(MANY):
        texts.add(f"order {number}", None)
        assert texts.contains("active", None)


def test_the_number_of_remembered_texts_is_bounded() -> None:
    texts = CleanTexts()
    for number in range(MANY):
        texts.add(f"order {number}", None)
    remembered = sum(texts.contains(f"order {number}", None) for number in reversed(range(MANY)))
    assert 0 < remembered <= 4096


def test_long_texts_and_cells_of_tables_are_not_remembered() -> None:
    texts = CleanTexts()
    texts.add("x" * 65, None)
    assert not texts.contains("x" * 65, None)
    of_rows = item_contexts([["name", "phone"], ["a", "b"]])[1]
    assert of_rows.columns
    texts.add("active", of_rows)
    assert not texts.contains("active", of_rows)
