"""Cells of a CSV file that a spreadsheet shows as text, whatever a caller wrote into them (CWE-1236)."""

import unicodedata

__all__ = ["safe_cell"]

_FORMULA_STARTS = frozenset("=+-@\N{MINUS SIGN}")
_CONTROL_STARTS = ("\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """The text with an apostrophe in front when a spreadsheet could take it for a formula.

    East Asian versions of spreadsheets read full-width signs as the usual ones; some skip spaces and invisible
    characters before a formula.
    """
    is_formula = text.startswith(_CONTROL_STARTS) or _first_visible(text) in _FORMULA_STARTS
    return f"'{text}" if is_formula else text


def _first_visible(text: str) -> str:
    for character in text:
        if not character.isspace() and unicodedata.category(character)[0] != "C":
            return unicodedata.normalize("NFKC", character)[0]
    return ""
