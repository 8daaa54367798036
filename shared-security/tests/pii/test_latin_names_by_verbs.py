"""Names in Latin letters that only the words around them show, and other capitalised words at the same places.

Brackets mark the expected persons.
"""

import pytest
from marked_texts import persons, without_marks

SUBJECTS = [
    "[Moss] waived the fee.",
    "[Olive] from housekeeping signed for it.",
    "[Nwosu] thinks the dash cam was off.",
    "The gate was shut. [Tan] visited the shop and [Reed] covers payroll.",
    "Rain again; [Piers] suggested a split.",
]
OBJECTS = [
    "Told [Olive] to check the trap.",
    "Met with [Wolniak] and [Cobb] about the pickup.",
    "I spoke to [Brimley] yesterday",
    "please welcome [Vusumuzi Khumalo] (dock lead)",
    "He asked whether [Guadalupe] can sign online.",
    "is [Saoirse] out already?",
]
ADDRESSED = [
    "Thanks [Mirin]! I could reproduce it.",
    "[Guadalupe],\n\nthe contractor called.",
    "dispatch: [Jarek], pick up at dock 7",
    "desk: [Wren]? she was here last week",
]
NAMED = ["Account holder? Last name [Petrov].", "He goes by [Vusi]. ", "then the [Castellanos] kid"]
OTHER_WORDS = [
    "Reception asked for a new key.",
    "Told Housekeeping to clean room 4.",
    "Management thinks the price is right.",
    "Spoke to Billing about the refund.",
    "The Olive requested a new menu.",
    "Payment wanted by Friday.",
    "Hertz said the car is ready, Google confirmed it.",
    "Best,\nthe support team",
    "agent: Update, please",
    "Thanks everyone! See you soon.",
    "the Larkspur family of products",
]


@pytest.mark.parametrize("marked", SUBJECTS + OBJECTS + ADDRESSED + NAMED)
def test_names_are_found_by_the_words_around_them(marked: str) -> None:
    text, expected = without_marks(marked)
    assert persons(text) == expected


@pytest.mark.parametrize("text", OTHER_WORDS)
def test_other_capitalised_words_are_not_names(text: str) -> None:
    assert persons(text) == []
