"""The result of a scan: the kind of personal data, its place in the text, a score and a reason. Never the value."""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["BASE64", "Finding", "PIIKind"]

BASE64 = "base64"
"""The beginning of the reason of a finding inside a base64 token."""


class PIIKind(StrEnum):
    """The kinds of personal data and secrets that the detector reports."""

    EMAIL = "EMAIL"
    PHONE = "PHONE"
    KR_RRN = "KR_RRN"
    CREDIT_CARD = "CREDIT_CARD"
    IBAN = "IBAN"
    IP = "IP"
    US_SSN = "US_SSN"
    NATIONAL_ID = "NATIONAL_ID"
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
    """Personal data at `text[start:end]` of the scanned text.

    `score` is between 0 and 1. `why` is a short code for the evidence, such as `check-digit` or `label`. A finding does
    not contain the value, so it may be written to logs and audit events.
    """

    kind: PIIKind
    start: int
    end: int
    score: float
    why: str

    @property
    def is_encoded(self) -> bool:
        """Whether the finding is a whole base64 token with personal data inside it."""
        return self.why.startswith(BASE64)
