"""Gates: one linear pass says which rules can find anything at all, so that clean text costs almost nothing.

RE2 answers for all rules in one pass (the `patterns` extra). Without it the standard library asks one after another:
the same answers, only slower.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

try:
    import re2
except ImportError:  # the extra is not installed, or there is no wheel for this platform
    re2 = None

__all__ = ["open_gates"]

# All gates make one automaton, grown as texts ask for it. In the 8 MiB that RE2 gives it by default it is begun anew
# over and over: forty times slower. Texts of all kinds fill half of this.
_AUTOMATON_BYTES = 32 * 1024 * 1024
_CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]|\\[sW]")


def open_gates(needs: Sequence[str], engine: Any = re2) -> Callable[[str], list[int]]:
    """A function from a text to the indexes of the expressions that occur in it, in order."""
    needs = [_CLASS.sub(_say_it, need) for need in needs]
    return _in_one_pass(engine, needs) if engine is not None else _one_by_one(needs)


def _say_it(match: re.Match[str]) -> str:
    """The engines differ in what a space and what a word is."""
    if match.group() == r"\W":
        return "[^0-9A-Za-z_]"
    spaces = r" \t\r\n"
    return f"[{spaces}]" if match.group() == r"\s" else match.group().replace(r"\s", spaces)


def _in_one_pass(engine: Any, needs: Sequence[str]) -> Callable[[str], list[int]]:
    options = engine.Options()
    options.max_mem = _AUTOMATON_BYTES
    gates = engine.Set.SearchSet(options)
    for need in needs:
        gates.Add(need)
    gates.Compile()
    # Lone surrogates have no UTF-8; as question marks they open no gate, and no rule looks for them.
    return lambda text: sorted(gates.Match(text.encode(errors="replace")) or ())


def _one_by_one(needs: Sequence[str]) -> Callable[[str], list[int]]:
    searches = [re.compile(need).search for need in needs]
    return lambda text: [index for index, search in enumerate(searches) if search(text)]
