"""The label that is written in front of the value of a field when it is searched: `phone: 010-1234-5678`."""

from security_common.pii.field_names import FieldMeaning, words_of_name
from security_common.pii.finding import PIIKind
from security_common.pii.labels import BANK, OTHER, label_at_end
from security_common.pii.split_values import is_part_of_name

__all__ = ["LABEL_OF_KIND", "LABEL_OF_PERSON", "label_of_field"]

# What is written in front of a value when it is searched. In ASCII, because Hangul is evidence for a Korean text.
LABEL_OF_KIND = {
    PIIKind.EMAIL: "email",
    PIIKind.PHONE: "phone",
    PIIKind.KR_RRN: "rrn",
    PIIKind.CREDIT_CARD: "card number",
    PIIKind.IBAN: "iban",
    PIIKind.IP: "ip",
    PIIKind.US_SSN: "ssn",
    PIIKind.PASSPORT: "passport",
    PIIKind.DRIVER_LICENSE: "driver license",
    PIIKind.BUSINESS_NUMBER: "business number",
    PIIKind.CORP_NUMBER: "corp number",
    PIIKind.BANK_ACCOUNT: "account number",
    PIIKind.VEHICLE_PLATE: "license plate",
    PIIKind.CUSTOMS_CODE: "customs code",
    PIIKind.PERSON: "name",
    PIIKind.ADDRESS: "address",
    PIIKind.DATE_OF_BIRTH: "date of birth",
    PIIKind.SECRET: "password",
    OTHER: "reference number",
    BANK: "은행",
}
LABEL_OF_PERSON = "full name"
"""For names that are certainly not those of things."""
_LABEL_OF_PART_OF_NAME = "first name"
_NAMES_OF_MESSAGE_IDS = frozenset({"messageid", "inreplyto", "references"})


def label_of_field(name: str, meaning: FieldMeaning) -> str:
    """The label for a field of this name, or an empty string if the name says nothing about the value."""
    kind = meaning.kind
    if not kind:
        return ""
    if kind == PIIKind.PERSON and is_part_of_name(name):
        return _LABEL_OF_PART_OF_NAME
    if kind == PIIKind.PERSON and not meaning.may_name_thing:
        return LABEL_OF_PERSON
    return _label_of_other(name) if kind == OTHER else LABEL_OF_KIND.get(kind, name)


def _label_of_other(name: str) -> str:
    """The name itself if it is a label, because some rules read it: `version` before an IP address."""
    if "".join(words_of_name(name)) in _NAMES_OF_MESSAGE_IDS:
        return "message-id"
    return name if label_at_end(name) == OTHER else LABEL_OF_KIND[OTHER]
