"""The scan: normalize, read with every rule whose gate is open, settle overlaps, point at the original text."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from security_common.pii.alphanumeric_codes import CODES, IBANS, PLATES
from security_common.pii.birth_dates import DATES_OF_BIRTH
from security_common.pii.configuration import PIIConfiguration
from security_common.pii.credentials import SECRETS
from security_common.pii.email_addresses import EMAILS
from security_common.pii.encoded_text import NEEDS_DECODING, decoded_tokens
from security_common.pii.english_names import ENGLISH_NAMES
from security_common.pii.field_names import cells_in
from security_common.pii.finding import Finding
from security_common.pii.ip_addresses import IP_ADDRESSES
from security_common.pii.korean_names import KOREAN_NAMES
from security_common.pii.masking import mask_finding, replace_until_clean
from security_common.pii.normalization import NORMALIZATION_GATE, NormalizedText, normalize
from security_common.pii.number_rules import HALVES, NUMBERS
from security_common.pii.postal_addresses import ENGLISH_ADDRESSES, KOREAN_ADDRESSES
from security_common.pii.reading import Reading, Rule
from security_common.pii.rules import open_gates
from security_common.pii.spoken_digits import NEEDS_RESPELLING, with_digits

if TYPE_CHECKING:
    from security_common.settings import SecuritySettings

__all__ = ["PIIDetector", "get_pii_detector", "open_pii_detector"]

_TRANSFORMS = (NORMALIZATION_GATE, NEEDS_RESPELLING, NEEDS_DECODING)
_FOLD, _RESPELL, _DECODE = range(3)
_RULES: tuple[Rule, ...] = (
    SECRETS,
    EMAILS,
    IP_ADDRESSES,
    IBANS,
    CODES,
    NUMBERS,
    HALVES,
    PLATES,
    DATES_OF_BIRTH,
    KOREAN_ADDRESSES,
    ENGLISH_ADDRESSES,
    KOREAN_NAMES,
    ENGLISH_NAMES,
)
_open_gates = open_gates([*_TRANSFORMS, *(rule.needs for rule in _RULES)])


class PIIDetector:
    """Finds and masks personal data. Holds no state of a text, so one instance serves every thread.

    `configuration` adds the team's own patterns and takes away the values it allows. Its operators are for
    `secure_tool`: `mask_text` masks.
    """

    def __init__(
        self, configuration: PIIConfiguration | None = None, *, today: Callable[[], date] = date.today
    ) -> None:
        self.configuration = configuration or PIIConfiguration()
        self._today = today

    def scan_text(self, text: str, *, field_name: str | None = None) -> list[Finding]:
        """Findings in order of their place, never overlapping.

        `field_name` is what the text is called where it stands, such as `phone` or `주민등록번호`. It counts as if it
        stood before the value.
        """
        if not field_name:
            return self._with_own_rules(text, self._scan(text))
        return self._with_own_rules(text, _under(field_name, text, self._scan))

    def mask_text(self, text: str, *, field_name: str | None = None) -> str:
        """The text with everything found masked; masking it once more changes nothing."""
        return replace_until_clean(text, lambda seen: self.scan_text(seen, field_name=field_name), mask_finding)

    mask_pii = mask_text

    def _with_own_rules(self, text: str, found: list[Finding]) -> list[Finding]:
        if self.configuration.patterns:
            found = _settle([*found, *self.configuration.find_custom(text)])
        if self.configuration.allowed_values:
            return [one for one in found if not self.configuration.allows(text[one.start : one.end])]
        return found

    def _scan(self, text: str) -> list[Finding]:
        gates = _open_gates(text)
        if not gates:
            return []
        normalized = normalize(text) if gates[0] == _FOLD else NormalizedText(text)
        read = normalized.text
        if read is not text:
            gates = _open_gates(read)
        encoded = list(self._inside_tokens(read)) if _DECODE in gates else []
        if _RESPELL in gates:
            respelled = with_digits(read)
            if respelled is not read:
                read, gates = respelled, _open_gates(respelled)
        found = self._read(read, gates) + encoded
        if "\n" in read:
            found += list(self._in_cells(read, found))
        found = _settle(found)
        if normalized.starts is None:
            return found
        return [Finding(one.kind, *normalized.original(one.start, one.end), one.score, one.why) for one in found]

    def _read(self, text: str, gates: list[int]) -> list[Finding]:
        reading = Reading.of(text, self._today())
        return [one for gate in gates if gate > _DECODE for one in _RULES[gate - len(_TRANSFORMS)].find(reading)]

    def _in_cells(self, text: str, found: list[Finding]) -> Iterator[Finding]:
        """What the cells of a table hold under their columns' names, where nothing has been found without them."""
        starts, ends = sorted(one.start for one in found), sorted(one.end for one in found)
        for place, cell, column in cells_in(text):
            if bisect_left(starts, place + len(cell)) == bisect_right(ends, place):
                for one in _under(column, cell, lambda named: self._read(named, _open_gates(named))):
                    yield _moved(one, place)

    def _inside_tokens(self, text: str) -> Iterator[Finding]:
        """A finding inside an encoded token points at the token as a whole; one level deep."""
        for start, end, decoded in decoded_tokens(text):
            if inside := self._read(decoded, _open_gates(decoded)):
                best = max(inside, key=lambda one: (one.score, one.end - one.start))
                yield Finding(best.kind, start, end, best.score, f"base64-{best.why}")


def _under(name: str, text: str, scan: Callable[[str], list[Finding]]) -> list[Finding]:
    """What is found in a text that is called by a name, as if that stood before it."""
    prefix = f"{name}: "
    moved = [_moved(one, -len(prefix)) for one in scan(prefix + text) if one.end > len(prefix)]
    return [one if one.start >= 0 else one._replace(start=0) for one in moved]


def _moved(one: Finding, by: int) -> Finding:
    return one._replace(start=one.start + by, end=one.end + by)


def _settle(found: list[Finding]) -> list[Finding]:
    """Of overlapping candidates the surer stands, then the longer, then the earlier, in whatever order they came."""
    if len(found) < 2:
        return found
    ranked = sorted(found, key=lambda one: (-one.score, one.start - one.end, one.start, one.kind))
    starts: list[int] = []
    kept: list[Finding] = []
    for one in ranked:
        index = bisect_left(starts, one.start)
        free_before = index == 0 or kept[index - 1].end <= one.start
        if free_before and (index == len(kept) or one.end <= kept[index].start):
            starts.insert(index, one.start)
            kept.insert(index, one)
    return kept


def open_pii_detector(settings: "SecuritySettings") -> PIIDetector:
    """The detector for these settings. Raises `PIIConfigurationError`."""
    if settings.pii_config_file is None:
        return PIIDetector()
    from security_common.pii.configuration_file import load_configuration  # noqa: PLC0415 - it takes long to import

    return PIIDetector(load_configuration(settings.pii_config_file))


@cache
def get_pii_detector() -> PIIDetector:
    """The detector of this process, from the environment. Raises `PIIConfigurationError`."""
    from security_common.settings import SecuritySettings  # noqa: PLC0415 - half the time this room takes to import

    return open_pii_detector(SecuritySettings())
