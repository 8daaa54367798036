"""Detection rules and their gates.

A gate is a simple regular expression that matches every text in which its rule can find something. The gates of a
group of rules are tested in one linear pass, so that a text without personal data costs almost nothing.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from security_common.pii.finding import Finding
from security_common.pii.labels import LabelledText

try:
    import re2
except ImportError:  # the `patterns` extra is not installed, or has no wheel for this platform
    re2 = None

__all__ = ["Automaton", "Gate", "Rule", "compile_gates"]

# RE2 builds one automaton for all gates of a group while it runs. Above the limit it discards and rebuilds the
# automaton again and again, which is forty times slower. Texts of all kinds need less than a third of this limit.
_AUTOMATON_BYTES = 32 * 1024 * 1024
_CLASS_OR_SHORTHAND = re.compile(r"\[(?:\\.|[^\]\\])*\]|\\[sW]")


class Automaton(NamedTuple):
    """One automaton for several gates. `may_match` is False for texts in which the rules of its gates find nothing."""

    name: str
    may_match: Callable[[str], object]


class Gate(NamedTuple):
    """An expression without look-around (RE2 has none).

    If `also_required` is given, that expression has to match somewhere in the text as well.
    """

    expression: str
    automaton: Automaton
    also_required: str = ""


class Rule(NamedTuple):
    """How to find one kind of data.

    `gate` and `also_required` are those of its Gate. `find` returns candidates, which may overlap. With
    `may_be_public`, they can be the names of public figures. `begins_with_word` is whether the gate begins with any of
    many words, such as labels.

    A gate may be wider than what the rule finds. It should not count characters, as `[a-z]{2,20}` does: for each number
    of characters, the automaton needs a state, together with each state of the other gates.
    """

    gate: str
    find: Callable[[LabelledText], Iterable[Finding]]
    also_required: str = ""
    may_be_public: bool = False
    begins_with_word: bool = False


def compile_gates(gates: Sequence[Gate], engine: Any = re2) -> Callable[[str], list[int]]:
    """A function that returns, in order, the indexes of the gates that are open for a text.

    With RE2 (the `patterns` extra) one pass of an automaton tests all its gates. There are several, because the size of
    an automaton grows with the product of the states of its gates, not with their sum. Without RE2, the standard
    library tests one gate after the other, with the same result.
    """
    return _compile_one_by_one(gates) if engine is None else _compile_with_re2(engine, gates)


def _compile_with_re2(engine: Any, gates: Sequence[Gate]) -> Callable[[str], list[int]]:
    has_required = _compile_required(gates)
    sets: list[tuple[Callable[[str], object], Callable[[bytes], list[int] | None], Callable[[int], int]]] = []
    for automaton in dict.fromkeys(gate.automaton for gate in gates):
        indexes = [index for index, gate in enumerate(gates) if gate.automaton is automaton]
        match = _compile_set(engine, [gates[index].expression for index in indexes])
        sets.append((automaton.may_match, match, indexes.__getitem__))

    def open_gates(text: str) -> list[int]:
        # A lone surrogate has no UTF-8 encoding and becomes a question mark, which no gate matches. No rule searches
        # for one.
        encoded = text.encode(errors="replace")
        found: list[int] = []
        for may_match, match, index_of in sets:
            if may_match(text):
                matched = match(encoded)
                if matched is not None:
                    found += map(index_of, matched)
        found.sort()
        return found if has_required.keys().isdisjoint(found) else _with_required(found, has_required, encoded.decode())

    return open_gates


def _compile_set(engine: Any, expressions: Sequence[str]) -> Callable[[bytes], list[int] | None]:
    options = engine.Options()
    options.max_mem = _AUTOMATON_BYTES
    gate_set = engine.Set.SearchSet(options)
    for expression in expressions:
        gate_set.Add(_with_portable_classes(expression))
    gate_set.Compile()
    return gate_set.Match


def _compile_one_by_one(gates: Sequence[Gate]) -> Callable[[str], list[int]]:
    has_required = _compile_required(gates)
    automata = tuple(dict.fromkeys(gate.automaton for gate in gates))
    searches = [re.compile(_with_portable_classes(gate.expression)).search for gate in gates]

    def open_gates(text: str) -> list[int]:
        may_match = {automaton: automaton.may_match(text) for automaton in automata}
        found = [index for index, gate in enumerate(gates) if may_match[gate.automaton] and searches[index](text)]
        return _with_required(found, has_required, text)

    return open_gates


def _compile_required(gates: Sequence[Gate]) -> dict[int, Callable[[str], object]]:
    """By the index of its gate, the search for the expression that is also required: one for equal expressions."""
    expressions = {index: gate.also_required for index, gate in enumerate(gates) if gate.also_required}
    searches = {each: re.compile(_with_portable_classes(each)).search for each in expressions.values()}
    return {index: searches[each] for index, each in expressions.items()}


def _with_required(found: list[int], has_required: dict[int, Callable[[str], object]], text: str) -> list[int]:
    """The gates that are open with what is also required. The search for what several of them need is made once."""
    results: dict[Callable[[str], object], object] = {}
    opened: list[int] = []
    for gate in found:
        search = has_required.get(gate)
        if search is not None:
            if search not in results:
                results[search] = search(text)
            if results[search] is None:
                continue
        opened.append(gate)
    return opened


def _with_portable_classes(expression: str) -> str:
    return _CLASS_OR_SHORTHAND.sub(_expand_shorthand, expression)


def _expand_shorthand(match: re.Match[str]) -> str:
    r"""Writes \s and \W as ASCII classes: the two engines define them differently."""
    if match.group() == r"\W":
        return "[^0-9A-Za-z_]"
    spaces = r" \t-\r\x1c-\x1f"  # all that \s of the standard library matches in ASCII
    return f"[{spaces}]" if match.group() == r"\s" else match.group().replace(r"\s", spaces)
