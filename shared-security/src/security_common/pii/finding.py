"""What is found: a kind, a place, how sure, and why. Never the value itself."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Finding", "PIIKind"]


class PIIKind(StrEnum):
    """The kinds of personal data and secrets that are looked for."""

    EMAIL = "EMAIL"
    PHONE = "PHONE"
    KR_RRN = "KR_RRN"
    CREDIT_CARD = "CREDIT_CARD"
    IBAN = "IBAN"
    IP = "IP"
    US_SSN = "US_SSN"
    PASSPORT = "PASSPORT"
    DRIVER_LICENSE = "DRIVER_LICENSE"
    BUSINESS_NUMBER = "BUSINESS_NUMBER"
    CORP_NUMBER = "CORP_NUMBER"
    BANK_ACCOUNT = "BANK_ACCOUNT"
    VEHICLE_PLATE = "VEHICLE_PLATE"
    CUSTOMS_CODE = "CUSTOMS_CODE"
    PERSON = "PERSON"
    ADDRESS = "ADDRESS"
    DATE_OF_BIRTH = "DATE_OF_BIRTH"
    SECRET = "SECRET"  # noqa: S105 - the name of a kind, not a secret
    CUSTOM = "CUSTOM"


class Finding(NamedTuple):
    """A span of the scanned text, `text[start:end]`, that holds personal data.

    `score` is between 0 and 1. `why` is a short code of the evidence, such as `checksum` or `label`. The value is not
    kept, so that a finding may stand in a log or an audit event.
    """

    kind: PIIKind
    start: int
    end: int
    score: float
    why: str
