"""What becomes of personal data that was found: one operator for each kind and tool, from one readable file.

findings ──▶ allowed values are let through ──▶ operator of the kind, for this tool ──▶ text
                                                keep, mask, redact, pseudonym, encrypt, reject

default = "mask"                          # protection.toml
[kinds]
US_SSN = "reject"
[tools.send_mail.kinds]
EMAIL = "keep"
[allow]
values = ["support@example.com"]
[patterns.EMPLOYEE]
expression = "EMP-[0-9]{6}"
"""

from security_common.protection.configuration import Operator, Protection, load_protection
from security_common.protection.errors import BadProtection, PersonalDataRejected
from security_common.protection.protector import Protected, Protector
from security_common.protection.pseudonyms import PseudonymKey

__all__ = [
    "BadProtection",
    "Operator",
    "PersonalDataRejected",
    "Protected",
    "Protection",
    "Protector",
    "PseudonymKey",
    "load_protection",
]
