"""Detection and masking of personal data.

    text
     │  normalization         plain characters and digits, decoded base64 tokens; places map back to the text
     ▼
    normalized text
     │  rules                 gates: which rules can find something in this text?
     ▼
    rules with an open gate   listed in detector.RULES; they use labels beside the value (labels), check digits
     │                        (check_digits, resident_number, national_ids) and word lists (word_lists, data/)
     ▼
    candidates
     │  detector              of overlapping candidates keeps the one with the highest score
     ▼
    findings ── masking ──▶ masked text

`placeholders` has the form of the placeholders that `secure_tool` writes; they are never findings.

`field_names` reads the names of fields, `field_context` what they and their neighbours say about a value, and
`split_values` which values belong together. `structured_text` applies them to the values that `json_fragments`,
`delimited_tables` and `key_value_pairs` find in a text. `text_blocks` splits texts that do not fit into memory.
`configuration` has what a team adds: allowed values, custom patterns, and operators by kind and tool.

A finding has a kind, a place, a score and a reason, but not the value. Formats: ITU-T E.164, ISO/IEC 7812-1, ISO 13616,
RFC 4291, RFC 5321, and the rules that Korean authorities publish for their numbers.
"""

from security_common.pii.configuration import Operator, PIIConfiguration, PIIConfigurationError
from security_common.pii.contexts_in_data import item_contexts, member_contexts
from security_common.pii.detector import PIIDetector, get_pii_detector, open_pii_detector
from security_common.pii.field_context import FieldContext, field_context
from security_common.pii.finding import Finding, PIIKind
from security_common.pii.masking import mask_finding, replace_until_clean

__all__ = [
    "FieldContext",
    "Finding",
    "Operator",
    "PIIConfiguration",
    "PIIConfigurationError",
    "PIIDetector",
    "PIIKind",
    "field_context",
    "get_pii_detector",
    "item_contexts",
    "mask_finding",
    "member_contexts",
    "open_pii_detector",
    "replace_until_clean",
]
