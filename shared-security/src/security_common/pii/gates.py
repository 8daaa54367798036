"""Gates: one linear pass says which rules can find anything at all, so that clean text costs almost nothing.

RE2 answers for all rules in one pass (the `patterns` extra). Without it the standard library asks one after another:
the same answers, only slower.
"""

import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

try:
    import re2
except ImportError:  # the extra is not installed, or there is no wheel for this platform
    re2 = None

__all__ = ["open_gates"]


def open_gates(needs: Sequence[str], engine: Any = re2) -> Callable[[str], list[int]]:
    """A function from a text to the indexes of the expressions that occur in it, in order."""
    # The engines differ in what a space and what a word is, so the expressions say it.
    said = ((r"[\s", r"[ \t\r\n"), (r"\s", r"[ \t\r\n]"), (r"\W", r"[^0-9A-Za-z_]"))
    needs = [reduce(lambda need, pair: need.replace(*pair), said, need) for need in needs]
    return _in_one_pass(engine, needs) if engine is not None else _one_by_one(needs)


def _in_one_pass(engine: Any, needs: Sequence[str]) -> Callable[[str], list[int]]:
    gates = engine.Set.SearchSet()
    for need in needs:
        gates.Add(need)
    gates.Compile()
    # Lone surrogates have no UTF-8; as question marks they open no gate, and no rule looks for them.
    return lambda text: sorted(gates.Match(text.encode(errors="replace")) or ())


def _one_by_one(needs: Sequence[str]) -> Callable[[str], list[int]]:
    searches = [re.compile(need).search for need in needs]
    return lambda text: [index for index, search in enumerate(searches) if search(text)]
