"""Regular expressions that count their steps: a second, simple backtracking engine beside that of the standard library.

The standard library does not say how often it compared a character, and measured times vary. `CountedPattern` returns
the matches of the standard library, and walks the same parsed expression with the same backtracking to count every
comparison and every attempt. Both must find the same match, so an error in the counting shows.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

__all__ = ["CountedPattern", "StepCounter", "counted_compile"]

# The parser of the standard library has no public name. Its tree is what the real engine is compiled from.
parser: Any = importlib.import_module("re._parser")
compiler: Any = importlib.import_module("re._compiler")
ops: Any = importlib.import_module("re._constants")

ONE_CHARACTER: set[Any] = {ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN}
REPEATS: set[Any] = {ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT}
WORD_CHARACTERS = re.compile(r"\w")

Rest = Callable[[int], int | None]
"""Matches what follows from a place, and returns where the whole match ends, or None."""


class StepCounter:
    """The steps of all patterns since the last reset."""

    steps = 0


class Subject:
    """The text of one search, where it ends, and what the groups have matched so far."""

    def __init__(self, text: str, end: int) -> None:
        self.text, self.end = text, end
        self.groups: dict[int, tuple[int, int]] = {}


Matcher = Callable[[Subject, int, Rest], int | None]


@cache
def counted_compile(pattern: Any, flags: int = 0) -> "CountedPattern":
    """Does what `re.compile` does, with a pattern that counts."""
    return pattern if isinstance(pattern, CountedPattern) else CountedPattern(pattern, flags)


class CountedPattern:
    """A compiled pattern. What it does not count itself is passed on to the pattern of the standard library."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.compiled = COMPILE(pattern, flags)
        parsed = parser.parse(pattern, flags)
        self.matcher = sequence(list(parsed), parsed.state, self.compiled.flags)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.compiled, name)

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> Any:
        return self.checked(self.compiled.match(text, start, end), self.count(text, start, end))

    def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> Any:
        end = min(end, len(text))
        found = self.count(text, start, end, lambda place: place if place == end else None)
        return self.checked(self.compiled.fullmatch(text, start, end), found)

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> Any:
        match = self.compiled.search(text, start, end)
        last = min(end, len(text)) if match is None else match.start()
        for place in range(start, last + 1):
            found = self.count(text, place, end)
            if found is not None:
                return self.checked(match, found)
        return self.checked(match, None)

    def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Any]:
        for match in self.compiled.finditer(text, start, end):
            for place in range(start, match.start() + 1):
                self.count(text, place, end)
            start = max(match.end(), match.start() + 1)
            yield match
        for place in range(start, min(end, len(text)) + 1):
            self.count(text, place, end)

    def findall(self, text: str, start: int = 0, end: int = sys.maxsize) -> list[Any]:
        list(self.finditer(text, start, end))
        return self.compiled.findall(text, start, end)

    def sub(self, replacement: Any, text: str, count: int = 0) -> str:
        list(self.finditer(text))
        return self.compiled.sub(replacement, text, count)

    def split(self, text: str, maxsplit: int = 0) -> list[Any]:
        list(self.finditer(text))
        return self.compiled.split(text, maxsplit)

    def count(self, text: str, start: int, end: int, rest: Rest = lambda place: place) -> int | None:
        """Counts the steps of an attempt at one place, and returns where the match ends."""
        return self.matcher(Subject(text, min(end, len(text))), start, rest)

    def checked(self, match: Any, found: int | None) -> Any:
        """The match of the standard library. Fails if the counted one ends at another place."""
        assert found == (None if match is None else match.end()), self.compiled.pattern
        return match


def sequence(nodes: Sequence[Any], state: Any, flags: int) -> Matcher:
    """Nodes that follow each other."""
    matchers = [node_matcher(operation, argument, state, flags) for operation, argument in nodes]

    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        return match_from(subject, 0, place, rest)

    def match_from(subject: Subject, index: int, place: int, rest: Rest) -> int | None:
        if index == len(matchers):
            return rest(place)
        return matchers[index](subject, place, lambda after: match_from(subject, index + 1, after, rest))

    return matchers[0] if len(matchers) == 1 else match


def node_matcher(operation: Any, argument: Any, state: Any, flags: int) -> Matcher:
    """The matcher of one node of a parsed expression."""
    if operation in ONE_CHARACTER:
        return one_character(is_in_class((operation, argument), state, flags))
    if operation in REPEATS:
        fewest, most, nodes = argument
        return repeat(operation, fewest, most, nodes, state, flags)
    if operation is ops.SUBPATTERN:
        group, added, removed, nodes = argument
        return group_matcher(group, sequence(list(nodes), state, (flags | added) & ~removed))
    if operation is ops.ATOMIC_GROUP:
        return atomic(sequence(list(argument), state, flags))
    if operation is ops.BRANCH:
        return branch([list(nodes) for nodes in argument[1]], state, flags)
    if operation in {ops.ASSERT, ops.ASSERT_NOT}:
        direction, nodes = argument
        return look_around(sequence(list(nodes), state, flags), direction, nodes.getwidth()[0], operation is ops.ASSERT)
    if operation is ops.GROUPREF:
        return reference(argument)
    if operation is ops.AT:
        return at_place(argument, flags)
    raise ValueError(f"the steps of {operation} in a regular expression are not counted: add a matcher for it")


def is_in_class(node: Any, state: Any, flags: int) -> Callable[[str], bool]:
    """Whether a character matches a node. The answers of the standard library are remembered."""
    nodes = parser.SubPattern(state, [node])
    compiled = compiler.compile(nodes, flags & ~re.DEBUG)

    @cache
    def is_in(char: str) -> bool:
        return compiled.match(char) is not None

    return is_in


def one_character(is_in: Callable[[str], bool]) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        StepCounter.steps += 1
        return rest(place + 1) if place < subject.end and is_in(subject.text[place]) else None

    return match


def repeat(operation: Any, fewest: int, most: int, nodes: Any, state: Any, flags: int) -> Matcher:
    if len(nodes) == 1 and nodes[0][0] in ONE_CHARACTER:
        return repeat_character(operation, fewest, most, is_in_class(nodes[0], state, flags))
    item = sequence(list(nodes), state, flags)
    if operation is ops.POSSESSIVE_REPEAT:
        return atomic(repeat_greedy(item, fewest, most))
    return repeat_greedy(item, fewest, most) if operation is ops.MAX_REPEAT else repeat_lazy(item, fewest, most)


def repeat_character(operation: Any, fewest: int, most: int, is_in: Callable[[str], bool]) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        longest = min(most, subject.end - place)
        if operation is ops.MIN_REPEAT:
            for length in range(longest + 1):
                StepCounter.steps += 1
                end = rest(place + length) if length >= fewest else None
                if end is not None or length == longest or not is_in(subject.text[place + length]):
                    return end
            return None
        length = 0
        while length < longest and is_in(subject.text[place + length]):
            length += 1
        StepCounter.steps += length + 1
        shortest = length if operation is ops.POSSESSIVE_REPEAT else fewest
        for tried in range(length, max(shortest, fewest) - 1, -1):
            StepCounter.steps += 1
            end = rest(place + tried)
            if end is not None:
                return end
        return None

    return match


def repeat_greedy(item: Matcher, fewest: int, most: int) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest, done: int = 0) -> int | None:
        StepCounter.steps += 1
        if done < most:
            end = item(subject, place, lambda after: match(subject, after, rest, done + 1) if after > place else None)
            if end is not None:
                return end
        return rest(place) if done >= fewest else None

    return match


def repeat_lazy(item: Matcher, fewest: int, most: int) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest, done: int = 0) -> int | None:
        StepCounter.steps += 1
        end = rest(place) if done >= fewest else None
        if end is not None or done == most:
            return end
        return item(subject, place, lambda after: match(subject, after, rest, done + 1) if after > place else None)

    return match


def group_matcher(group: int | None, inner: Matcher) -> Matcher:
    if group is None:
        return inner

    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        before = subject.groups.get(group)

        def after_group(end: int) -> int | None:
            subject.groups[group] = (place, end)
            return rest(end)

        found = inner(subject, place, after_group)
        if found is None and before is not None:
            subject.groups[group] = before
        return found

    return match


def atomic(inner: Matcher) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        end = inner(subject, place, lambda after: after)
        return None if end is None else rest(end)

    return match


def branch(alternatives: list[list[Any]], state: Any, flags: int) -> Matcher:
    matchers = [sequence(nodes, state, flags) if nodes else None for nodes in alternatives]
    first: list[Callable[[str], bool] | None] = [
        is_in_class(nodes[0], state, flags) if nodes and nodes[0][0] in ONE_CHARACTER else None
        for nodes in alternatives
    ]

    @cache
    def possible(char: str) -> list[Matcher | None]:
        return [matcher for matcher, is_in in zip(matchers, first, strict=True) if is_in is None or is_in(char)]

    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        StepCounter.steps += 1
        for matcher in possible(subject.text[place]) if place < subject.end else matchers:
            end = rest(place) if matcher is None else matcher(subject, place, rest)
            if end is not None:
                return end
        return None

    return match


def look_around(inner: Matcher, direction: int, width: int, is_positive: bool) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        StepCounter.steps += 1
        start = place if direction > 0 else place - width
        found = start >= 0 and inner(subject, start, lambda after: after) is not None
        return rest(place) if found == is_positive else None

    return match


def reference(group: int) -> Matcher:
    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        if group not in subject.groups:
            return None
        start, end = subject.groups[group]
        StepCounter.steps += end - start
        length = end - start
        is_equal = subject.text[start:end] == subject.text[place : place + length] and place + length <= subject.end
        return rest(place + length) if is_equal else None

    return match


def at_place(where: Any, flags: int) -> Matcher:
    is_multiline = bool(flags & re.MULTILINE)

    def is_there(subject: Subject, place: int) -> bool:
        text, end = subject.text, subject.end
        if where in {ops.AT_BEGINNING, ops.AT_BEGINNING_STRING}:
            return place == 0 or (is_multiline and where is ops.AT_BEGINNING and text[place - 1] == "\n")
        if where in {ops.AT_END, ops.AT_END_STRING}:
            at_last_line_end = place == end - 1 and text[place] == "\n"
            at_line_end = is_multiline and place < end and text[place] == "\n"
            return place == end or (where is ops.AT_END and (at_last_line_end or at_line_end))
        is_word_before = place > 0 and WORD_CHARACTERS.match(text[place - 1]) is not None
        is_word_after = place < end and WORD_CHARACTERS.match(text[place]) is not None
        return (is_word_before != is_word_after) == (where is ops.AT_BOUNDARY)

    def match(subject: Subject, place: int, rest: Rest) -> int | None:
        StepCounter.steps += 1
        return rest(place) if is_there(subject, place) else None

    return match


COMPILE = re.compile
