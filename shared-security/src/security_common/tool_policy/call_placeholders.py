"""The placeholders of one call: which ones it puts back, and which ones it writes.

The walk over the data of a call is synchronous and the store is not. A first walk therefore only notes what is missing.
Then all of it is looked up at once, and the walk is repeated. Data without placeholders and without personal data is
walked once.

    arguments   walk ── placeholders in texts ──▶ resolve ──▶ walk: values of the kinds in `reveal` are put back
    result      walk ── values ──▶ assign ──▶ walk: placeholders are written
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from security_common.pii import Finding, PIIKind
from security_common.pii.placeholders import find_placeholders, new_placeholder, without_placeholders
from security_common.tool_policy.errors import PlaceholderInvalid, TooMuchData
from security_common.tool_policy.placeholder_store import PersonalValue, PlaceholderStore

__all__ = ["CallPlaceholders", "PlaceholdersMissing", "WalkPlaceholders"]

MAX_PLACEHOLDERS_IN_ARGUMENTS = 100
"""Every text that leaves the call is searched for the value of each of them."""

MIN_SEARCHED_CHARACTERS = 2


class CallPlaceholders:
    """What one call has read from the store. `reveal` has the kinds whose values the tool may receive."""

    def __init__(self, store: PlaceholderStore, reveal: frozenset[PIIKind]) -> None:
        self._store = store
        self._reveal = reveal
        # The mappings are replaced and never changed: a walk in another thread may be reading them.
        self.values: Mapping[str, str | None] = {}
        self.placeholders: Mapping[PersonalValue, str] = {}
        self.revealed_spellings: Mapping[str, PIIKind] = {}

    async def resolve(self, owner: str, placeholders: Collection[str]) -> None:
        """Looks up the values of placeholders. See `WalkPlaceholders.look_up` for the errors."""
        if len(placeholders) + len(self.values) > MAX_PLACEHOLDERS_IN_ARGUMENTS:
            raise TooMuchData(
                f"the arguments have more than {MAX_PLACEHOLDERS_IN_ARGUMENTS} different placeholders",
                hint="send fewer in one call",
            )
        values = await self._store.resolve(owner, placeholders, reveal=self._reveal)
        invalid = set(placeholders) - values.keys()
        if invalid:
            raise PlaceholderInvalid(invalid)
        self.values = {**self.values, **values}
        for placeholder, value in values.items():
            if value is not None:
                self._note_revealed(placeholder, value)

    async def assign(self, owner: str, values: Mapping[PersonalValue, str]) -> None:
        """Looks up the placeholders of values."""
        assigned = await self._store.assign(owner, values)
        self.placeholders = {**self.placeholders, **assigned}

    def _note_revealed(self, placeholder: str, value: str) -> None:
        """Remembers a value that the tool receives, to find it in what the tool returns."""
        kind = next(find_placeholders(placeholder)).kind
        personal_value = PersonalValue.of(kind, value)
        self.placeholders = {**self.placeholders, personal_value: placeholder}
        spellings = (value, value.lower(), value.upper(), personal_value.canonical)
        searched = {spelling: kind for spelling in spellings if len(spelling) >= MIN_SEARCHED_CHARACTERS}
        self.revealed_spellings = {**self.revealed_spellings, **searched}


class PlaceholdersMissing(Exception):
    """A walk needs values from the store. Its result must not be used: call `look_up`, then repeat the walk."""

    def __init__(self, placeholders: "WalkPlaceholders") -> None:
        super().__init__()
        self.placeholders = placeholders


class WalkPlaceholders:
    """The placeholders in one walk over data, and a note of what is missing."""

    def __init__(self, call: CallPlaceholders) -> None:
        self._call = call
        self._unresolved: set[str] = set()
        self._unassigned: dict[PersonalValue, str] = {}

    def require_all(self) -> None:
        """Raises PlaceholdersMissing if the walk needed something that the call has not read yet."""
        if self._unresolved or self._unassigned:
            raise PlaceholdersMissing(self)

    async def look_up(self, owner: str) -> None:
        """Gets from the store what is missing.

        Raises PlaceholderInvalid, TooMuchData, PlaceholderLimitReached and PlaceholdersUnavailable.
        """
        if self._unresolved:
            await self._call.resolve(owner, self._unresolved)
        if self._unassigned:
            await self._call.assign(owner, self._unassigned)

    def write(self, kind: PIIKind, value: str) -> str:
        """The placeholder that replaces a value in a result. It is not to be sent if `require_all` raises."""
        personal_value = PersonalValue.of(kind, value)
        placeholder = self._call.placeholders.get(personal_value)
        if placeholder is not None:
            return placeholder
        self._unassigned.setdefault(personal_value, value)
        return new_placeholder(kind)

    def put_back(self, text: str) -> tuple[str, Counter[str]]:
        """The text with the values of the placeholders whose kind the tool may see, and the number of them by kind.

        The values are not searched for placeholders, so a value that looks like one reveals nothing.
        """
        revealed: Counter[str] = Counter()
        parts: list[str] = []
        position = 0
        for place in find_placeholders(text):
            value = self._value_of(text[place.start : place.end])
            if value is not None:
                parts += [text[position : place.start], value]
                position = place.end
                revealed[str(place.kind)] += 1
        return ("".join([*parts, text[position:]]) if parts else text), revealed

    def _value_of(self, placeholder: str) -> str | None:
        values = self._call.values
        if placeholder not in values:
            self._unresolved.add(placeholder)
            return None
        return values[placeholder]

    def add_revealed_values(self, findings: Sequence[Finding], text: str) -> Sequence[Finding]:
        """The findings, and every place of a value that the tool received, whether or not the detector finds it.

        Without this, a name that a tool received could be returned in a sentence in which it is not recognized.
        """
        spellings = self._call.revealed_spellings
        found = [place for spelling, kind in spellings.items() for place in _find_all(text, spelling, kind)]
        places = without_placeholders(found, text)
        if not places:
            return findings
        merged: list[Finding] = []
        for finding in sorted([*places, *findings], key=lambda each: (each.start, -each.end)):
            covered_until = merged[-1].end if merged else 0
            if finding.end > covered_until:
                merged.append(finding._replace(start=max(finding.start, covered_until)))
        return merged


def _find_all(text: str, spelling: str, kind: PIIKind) -> Iterator[Finding]:
    """Every place of a spelling that is not a part of a longer word in Latin letters or of a longer number.

    Korean particles follow a name without a space, so letters of other scripts do not continue a word.
    """
    start = text.find(spelling)
    while start >= 0:
        end = start + len(spelling)
        before, after = text[start - 1 : start], text[end : end + 1]
        is_part = _is_continued(before, spelling[0]) or _is_continued(spelling[-1], after)
        if not is_part:
            yield Finding(kind, start, end, 1.0, "revealed")
        start = text.find(spelling, start + 1)


def _is_continued(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word or one number. One of them may be empty."""
    both = left + right
    return len(both) > 1 and both.isascii() and (both.isalpha() or both.isdigit())
