"""The detector: prepares a text, applies the rules, resolves overlaps and reports places in the original text.

The package docstring shows the steps. RULES lists every rule. Overlaps are resolved by score, not by the order of the
rules.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

from security_common.pii.alphanumeric_codes import ALPHANUMERIC_CODES, IBANS, VEHICLE_PLATES
from security_common.pii.birth_dates import DATES_OF_BIRTH
from security_common.pii.birth_dates_beside_names import with_birth_dates
from security_common.pii.chat_speakers import CHAT_SPEAKERS
from security_common.pii.configuration import PIIConfiguration
from security_common.pii.credentials import CREDENTIALS
from security_common.pii.email_addresses import EMAIL_ADDRESSES
from security_common.pii.english_names import ENGLISH_NAMES, FIRST_NAMES_ALONE
from security_common.pii.field_context import FieldContext, field_context
from security_common.pii.field_labels import LABEL_OF_PERSON
from security_common.pii.finding import BASE64, Finding, PIIKind
from security_common.pii.foreign_addresses import FOREIGN_ADDRESSES
from security_common.pii.ip_addresses import IP_ADDRESSES, LIKE_VERSION, is_name_of_software
from security_common.pii.korean_names import KOREAN_NAMES
from security_common.pii.korean_names_by_grammar import KOREAN_NAMES_BY_GRAMMAR
from security_common.pii.labelled_codes import LABELLED_CODES
from security_common.pii.labels import LabelledText
from security_common.pii.latin_names_by_verbs import LATIN_NAMES_BY_VERBS
from security_common.pii.latin_names_in_korean import LATIN_NAMES_IN_KOREAN
from security_common.pii.latin_names_in_prose import LATIN_NAMES_IN_PROSE
from security_common.pii.masking import PART_OF_VALUE, mask_finding, replace_until_clean
from security_common.pii.named_secrets import NAMED_SECRETS
from security_common.pii.names_after_roles import NAMES_AFTER_ROLES
from security_common.pii.names_in_fields import (
    find_name_by_form,
    find_names_in_field,
    find_probable_name,
    find_username_in_field,
    is_other_than_name,
)
from security_common.pii.national_ids import COUNTRIES, NATIONAL_CODES, country_of
from security_common.pii.normalization import (
    NORMALIZATION_GATE,
    SPOKEN_DIGITS_GATE,
    NormalizedText,
    decode_base64_tokens,
    may_have_base64_token,
    normalize,
    replace_spoken_digits,
)
from security_common.pii.number_rules import NUMBERS
from security_common.pii.placeholders import without_placeholders
from security_common.pii.postal_addresses import KOREAN_ADDRESSES, find_address_in_field
from security_common.pii.public_names import PUBLIC_NAME, mark_public_names
from security_common.pii.repeated_names import with_repeated_names
from security_common.pii.resident_number import SPLIT_RESIDENT_NUMBERS
from security_common.pii.rules import Automaton, Gate, Rule, compile_gates
from security_common.pii.secret_tokens import SECRET_TOKENS
from security_common.pii.short_numbers import is_short_number
from security_common.pii.structured_text import StructuredSearch, moved_by
from security_common.pii.text_slices import SLICE_CHARS, find_in_slices
from security_common.pii.unusual_korean_names import UNUSUAL_KOREAN_NAMES
from security_common.pii.usernames import USERNAMES
from security_common.pii.value_surroundings import is_specific_name

if TYPE_CHECKING:
    from security_common.settings import SecuritySettings

__all__ = ["RULES", "PIIDetector", "get_pii_detector", "open_pii_detector"]

_RULES_FOR_SECRETS: tuple[Rule, ...] = (
    SECRET_TOKENS,  # private keys, tokens of known vendors, webhooks
    CREDENTIALS,  # passwords and keys in URLs, headers, commands and configuration files
    NAMED_SECRETS,  # values behind a name such as `password`
)
_RULES_FOR_NUMBERS: tuple[Rule, ...] = (
    EMAIL_ADDRESSES,
    IP_ADDRESSES,
    IBANS,
    ALPHANUMERIC_CODES,  # passports, driver's licences and customs codes with letters
    LABELLED_CODES,  # passports, driver's licences and number plates of other countries
    NATIONAL_CODES,  # identification numbers of other countries with letters
    NUMBERS,  # telephone, resident, corporate, business, card, licence, account and US social security numbers
    SPLIT_RESIDENT_NUMBERS,
    VEHICLE_PLATES,
    *DATES_OF_BIRTH,
    KOREAN_ADDRESSES,
    *FOREIGN_ADDRESSES,
)
_RULES_FOR_LATIN_NAMES: tuple[Rule, ...] = (
    FIRST_NAMES_ALONE,
    USERNAMES,
    *LATIN_NAMES_IN_PROSE,
    *LATIN_NAMES_BY_VERBS,
    LATIN_NAMES_IN_KOREAN,
    *ENGLISH_NAMES,  # romanised Korean names included
)


def _has_other_than_ascii(text: str) -> bool:
    return not text.isascii()


_CAPITAL = re.compile("[A-ZÀ-\u024f\u1e00-\u1eff]")
_WORDS, _NUMBERS = Automaton("words", bool), Automaton("numbers", bool)
_KOREAN = Automaton("names in Hangul and Han", _has_other_than_ascii)
_LATIN = Automaton("Latin names", _CAPITAL.search)
_RULES_BY_AUTOMATON = {
    _WORDS: (*_RULES_FOR_SECRETS, CHAT_SPEAKERS),  # a chat can be in any script, and in small letters
    _NUMBERS: _RULES_FOR_NUMBERS,
    _KOREAN: (*KOREAN_NAMES, *NAMES_AFTER_ROLES, *UNUSUAL_KOREAN_NAMES, *KOREAN_NAMES_BY_GRAMMAR),
    _LATIN: _RULES_FOR_LATIN_NAMES,
}
RULES = tuple(rule for rules in _RULES_BY_AUTOMATON.values() for rule in rules)

PREPARATION_GATES = (Gate(NORMALIZATION_GATE, _NUMBERS), Gate(SPOKEN_DIGITS_GATE, _NUMBERS))
_WEAK_KINDS = frozenset({PIIKind.US_SSN, PIIKind.PASSPORT})
"""In a field with the name of something else, their shape alone is not enough: {"acct_code": "101-02-0003"}."""
_CERTAIN_NAMES = frozenset({"honorific", "title"})
"""The reasons for which a name is a person's even in a field with the name of a thing."""
_NORMALIZE, _REPLACE_SPOKEN_DIGITS = range(2)  # indexes of PREPARATION_GATES
_FIRST_RULE = len(PREPARATION_GATES)
MAX_BARE_WORD_LENGTH = 11
"""No rule finds anything in so few ASCII letters without anything else: most names of fields are that."""

GATES = (
    *PREPARATION_GATES,
    *(
        Gate(rule.gate, _WORDS if rule.begins_with_word else automaton, rule.also_required)
        for automaton, rules in _RULES_BY_AUTOMATON.items()
        for rule in rules
    ),
)
open_gates = compile_gates(GATES)
"""Returns the indexes of the gates that are open for a text: those of PREPARATION_GATES, then those of RULES."""


class PIIDetector:
    """Finds and masks personal data. One instance serves all threads.

    It keeps nothing of a text but the names of members of JSON in which nothing was found, up to a limit.

    `configuration` adds custom patterns and excludes allowed values. Its operators are for `secure_tool`: `mask_text`
    always masks. `today` is a parameter for tests.
    """

    def __init__(
        self, configuration: PIIConfiguration | None = None, *, today: Callable[[], date] = date.today
    ) -> None:
        self.configuration = configuration or PIIConfiguration()
        self._today = today
        self._clean_names: set[str] = set()

    def scan_text(
        self, text: str, *, field_name: str | None = None, context: FieldContext | None = None
    ) -> list[Finding]:
        """The findings in order of their place, without overlaps.

        `field_name` is the name of the field that contains the text, such as `phone` or `주민등록번호`. It counts as a
        label in front of the value. `context`, from `member_contexts` or `item_contexts`, is used instead where the
        neighbouring fields are known too.
        """
        if context is None and field_name:
            context = field_context(field_name)
        if context is not None and not self.configuration.patterns and is_short_number(text, context):
            return []
        found = StructuredSearch(self._search_value, self._clean_names).find(text, context)
        if self.configuration.allowed_values:
            found = [finding for finding in found if not self.configuration.allows(text[finding.start : finding.end])]
        return without_placeholders(found, text)

    def mask_text(self, text: str, *, field_name: str | None = None, context: FieldContext | None = None) -> str:
        """The text with every finding masked. Masking the result again changes nothing."""

        def find(current: str) -> list[Finding]:
            return self.scan_text(current, field_name=field_name, context=context)

        return replace_until_clean(text, find(text), find, mask_finding)

    mask_pii = mask_text

    def _search_value(self, text: str, context: FieldContext | None) -> list[Finding]:
        """The findings in one value, in order: those of the rules and of the custom patterns."""
        found = self._scan(text) if context is None else _scan_in_context(text, context, self._scan)
        if not self.configuration.patterns:
            return found
        return _resolve_overlaps([*found, *self.configuration.find_custom(text)])

    def _scan(self, text: str) -> list[Finding]:
        """The findings of the rules, without those of the configuration. A long text is searched in slices."""
        if len(text) <= SLICE_CHARS:
            return self._scan_slice(text)

        def find(start: int, end: int) -> list[Finding]:
            return [moved_by(start, each) for each in self._scan_slice(text[start:end])]

        return find_in_slices(text, find)

    def _scan_slice(self, text: str) -> list[Finding]:
        if len(text) <= MAX_BARE_WORD_LENGTH and text.isascii() and text.isalpha():
            return []
        gates = open_gates(text)
        if not gates:
            return self._find_in_base64_tokens(text) if may_have_base64_token(text) else []
        normalized = normalize(text) if gates[0] == _NORMALIZE else NormalizedText(text)
        prepared = normalized.text
        if prepared is not text:
            gates = open_gates(prepared)
        in_tokens = self._find_in_base64_tokens(prepared) if may_have_base64_token(prepared) else []
        if _REPLACE_SPOKEN_DIGITS in gates:
            with_digits = replace_spoken_digits(prepared)
            if with_digits is not prepared:
                prepared, gates = with_digits, open_gates(with_digits)
        found = self._without_overlaps(prepared, self.apply_rules(prepared, gates) + in_tokens)
        if normalized.starts is None:
            return found
        return [
            Finding(finding.kind, *normalized.original_span(finding.start, finding.end), finding.score, finding.why)
            for finding in found
        ]

    def apply_rules(self, text: str, gates: list[int]) -> list[Finding]:
        """The candidates of the rules whose gates are open; they may overlap. `text` is normalized."""
        source = LabelledText(text, self._today)
        candidates: list[Finding] = []
        for gate in gates:
            if gate >= _FIRST_RULE:
                rule = RULES[gate - _FIRST_RULE]
                found = rule.find(source)
                candidates += mark_public_names(text, found) if rule.may_be_public else found
        countries = self.configuration.national_ids
        if countries is COUNTRIES:
            return candidates
        return [each for each in candidates if each.kind is not PIIKind.NATIONAL_ID or country_of(each) in countries]

    def _without_overlaps(self, text: str, candidates: list[Finding]) -> list[Finding]:
        """The best candidates in order, with the other places of the names in them.

        Public names are left out at the end, so they hide worse candidates.
        """
        found = with_repeated_names(text, _resolve_overlaps(candidates))
        if found:
            found = with_birth_dates(text, found, self._today().year)
        if self.configuration.find_public_names or not found:
            return found
        return [each for each in found if each.why != PUBLIC_NAME]

    def _find_in_base64_tokens(self, text: str) -> list[Finding]:
        """Reports a token as a whole with the best finding inside it. Tokens inside tokens are not decoded."""
        found: list[Finding] = []
        for start, end, decoded in decode_base64_tokens(text):
            inside = self.apply_rules(decoded, open_gates(decoded))
            if inside:
                best = max(inside, key=lambda finding: (finding.score, finding.end - finding.start))
                found.append(Finding(best.kind, start, end, best.score, f"{BASE64}-{best.why}"))
        return found


def _scan_in_context(text: str, context: FieldContext, scan: Callable[[str], list[Finding]]) -> list[Finding]:
    """What `scan` finds in the value of a field."""
    if context.is_part:
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        return [Finding(PIIKind(context.kind), start, end, 0.9, PART_OF_VALUE)] if start < end else []
    found = _scan_behind_label(context.label_text, text, scan) if context.label_text else scan(text)
    if found and not context.kind and context.name and is_specific_name(context.name):
        found = [each for each in found if each.kind not in _WEAK_KINDS or each.why != "shape" or each.start > 0]
    if (context.is_unclear or context.is_role) and not any(each.kind == PIIKind.PERSON for each in found):
        found = _resolve_overlaps([*found, *find_name_by_form(text)])
    if context.kind == PIIKind.PERSON or context.names_login:
        found = _with_names_of_field(found, text, context)
    if context.kind == PIIKind.ADDRESS and not any(each.kind == PIIKind.ADDRESS for each in found):
        found = _resolve_overlaps([*found, *find_address_in_field(text)])
    if found and not context.kind and context.name and is_name_of_software(context.name):
        found = [each for each in found if each.kind != PIIKind.IP or each.why != LIKE_VERSION]
    if context.names_thing:
        return [each for each in found if each.kind != PIIKind.PERSON or each.why in _CERTAIN_NAMES]
    return found


def _with_names_of_field(found: list[Finding], text: str, context: FieldContext) -> list[Finding]:
    """The findings of a field for persons or logins, with the names that only the field shows to be names."""
    if is_other_than_name(text):
        return [each for each in found if each.kind != PIIKind.PERSON or each.why != "label"]
    if context.names_person:
        names = list(find_names_in_field(text, is_personal_record=context.is_personal_record))
    elif context.label_text == LABEL_OF_PERSON:
        names = list(find_probable_name(text))
    else:
        names = []
    names += find_username_in_field(text)
    if not names:
        return found
    return _resolve_overlaps([*found, *names])


def _scan_behind_label(label: str, text: str, scan: Callable[[str], list[Finding]]) -> list[Finding]:
    """What `scan` finds in `text` with a label in front of it. The places are those in `text`."""
    prefix = f"{label}: "
    found: list[Finding] = []
    for finding in scan(prefix + text):
        if finding.end > len(prefix):  # not in the label itself
            moved = moved_by(-len(prefix), finding)
            found.append(moved if moved.start >= 0 else moved._replace(start=0))
    return found


_start_of, _end_of = attrgetter("start"), attrgetter("end")


def _resolve_overlaps(candidates: list[Finding]) -> list[Finding]:
    """Of overlapping candidates keeps the one with the higher score, then the longer, then the earlier one."""
    if len(candidates) < 2:
        return candidates
    in_order = sorted(candidates, key=_start_of)
    if not _has_overlap(in_order):
        return in_order
    ranked = sorted(
        candidates, key=lambda finding: (-finding.score, finding.start - finding.end, finding.start, finding.kind)
    )
    is_taken = bytearray(max(map(_end_of, candidates)))
    kept: list[Finding] = []
    for candidate in ranked:
        start, end = candidate.start, candidate.end
        if is_taken.find(1, start, end) < 0:
            is_taken[start:end] = b"\1" * (end - start)
            kept.append(candidate)
    return sorted(kept, key=_start_of)


def _has_overlap(in_order: list[Finding]) -> bool:
    end = 0
    for finding in in_order:
        if finding.start < end:
            return True
        end = finding.end
    return False


def open_pii_detector(settings: "SecuritySettings") -> PIIDetector:
    """The detector for these settings. Raises PIIConfigurationError."""
    if settings.pii_config_file is None:
        return PIIDetector()
    from security_common.pii.configuration_file import load_configuration  # noqa: PLC0415 - slow to import

    return PIIDetector(load_configuration(settings.pii_config_file))


@cache
def get_pii_detector() -> PIIDetector:
    """The detector of this process, configured by the environment. Raises PIIConfigurationError."""
    from security_common.settings import SecuritySettings  # noqa: PLC0415 - half of the import time of this package

    return open_pii_detector(SecuritySettings())
