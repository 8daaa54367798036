"""Detection rules and their gates.

A gate is a simple expression that is true for every text in which its rule can find something. All gates are tested in
one linear pass, so that a text without personal data costs almost nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from security_common.pii.finding import Finding
from security_common.pii.labels import LabelledText

try:
    import re2
except ImportError:  # the `patterns` extra is not installed, or has no wheel for this platform
    re2 = None

__all__ = ["Rule", "compile_gates"]

# RE2 builds one automaton for all gates while it runs. With its default limit of 8 MiB it discards and rebuilds the
# automaton again and again, which is forty times slower. Texts of all kinds need about half of this limit.
_AUTOMATON_BYTES = 32 * 1024 * 1024
_CLASS_OR_SHORTHAND = re.compile(r"\[(?:\\.|[^\]\\])*\]|\\[sW]")


class Rule(NamedTuple):
    """How to find one kind of data.

    `gate` is a regular expression without look-around (RE2 has none). `find` yields candidates, which may overlap.
    """

    gate: str
    find: Callable[[LabelledText], Iterator[Finding]]


def compile_gates(gates: Sequence[str], engine: Any = re2) -> Callable[[str], list[int]]:
    """A function that returns, in order, the indexes of the gates that match somewhere in a text.

    With RE2 (the `patterns` extra) one pass tests all gates. Without it, the standard library tests one after the
    other, with the same result.
    """
    gates = [_CLASS_OR_SHORTHAND.sub(_expand_shorthand, gate) for gate in gates]
    return _compile_with_re2(engine, gates) if engine is not None else _compile_one_by_one(gates)


def _expand_shorthand(match: re.Match[str]) -> str:
    r"""Writes \s and \W as ASCII classes: the two engines define them differently."""
    if match.group() == r"\W":
        return "[^0-9A-Za-z_]"
    spaces = r" \t\r\n"
    return f"[{spaces}]" if match.group() == r"\s" else match.group().replace(r"\s", spaces)


def _compile_with_re2(engine: Any, gates: Sequence[str]) -> Callable[[str], list[int]]:
    options = engine.Options()
    options.max_mem = _AUTOMATON_BYTES
    gate_set = engine.Set.SearchSet(options)
    for gate in gates:
        gate_set.Add(gate)
    gate_set.Compile()
    # A lone surrogate has no UTF-8 encoding and becomes a question mark, which opens no gate. No rule searches for one.
    return lambda text: sorted(gate_set.Match(text.encode(errors="replace")) or ())


def _compile_one_by_one(gates: Sequence[str]) -> Callable[[str], list[int]]:
    searches = [re.compile(gate).search for gate in gates]
    return lambda text: [index for index, search in enumerate(searches) if search(text)]
