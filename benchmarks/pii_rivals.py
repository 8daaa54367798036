"""What other engines find, for pii_report.py: reads one JSON text a line, writes one JSON list of spans a line.

python benchmarks/pii_rivals.py ko-pii < texts.jsonl      in an environment made from requirements/benchmark.lock
"""

import importlib
import json
import sys
from collections.abc import Callable

Span = tuple[str, int, int]

KO_PII = {
    "EMAIL": "EMAIL",
    "PHONE": "PHONE",
    "RRN": "KR_RRN",
    "FRN": "KR_RRN",
    "CARD": "CREDIT_CARD",
    "IP": "IP",
    "PASSPORT": "PASSPORT",
    "DRIVER_LICENSE": "DRIVER_LICENSE",
    "BUSINESS_REG": "BUSINESS_NUMBER",
    "CORP_REG": "CORP_NUMBER",
    "ACCOUNT": "BANK_ACCOUNT",
    "VEHICLE": "VEHICLE_PLATE",
    "PERSON": "PERSON",
    "ADDRESS": "ADDRESS",
    "DT_BIRTH": "DATE_OF_BIRTH",
}
PRESIDIO = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "KR_RRN": "KR_RRN",
    "KR_FRN": "KR_RRN",
    "CREDIT_CARD": "CREDIT_CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "US_SSN": "US_SSN",
    "KR_PASSPORT": "PASSPORT",
    "US_PASSPORT": "PASSPORT",
    "KR_DRIVER_LICENSE": "DRIVER_LICENSE",
    "KR_BRN": "BUSINESS_NUMBER",
}


def ko_pii() -> Callable[[str], list[Span]]:
    detect = importlib.import_module("ko_pii").detect_all
    return lambda text: [(KO_PII[one.label], one.start, one.end) for one in detect(text) if one.label in KO_PII]


def presidio() -> Callable[[str], list[Span]]:
    """Every pattern recogniser with its Korean ones on, no UrlRecognizer, no language model."""
    recognizers = importlib.import_module("presidio_analyzer.predefined_recognizers")
    names = [
        "Email",
        "Phone",
        "KrRrn",
        "KrFrn",
        "CreditCard",
        "Iban",
        "Ip",
        "UsSsn",
        "KrPassport",
        "UsPassport",
        "KrDriverLicense",
        "KrBrn",
    ]
    engines = [getattr(recognizers, f"{name}Recognizer") for name in names if hasattr(recognizers, f"{name}Recognizer")]
    loaded = [engine() for engine in engines]

    def scan(text: str) -> list[Span]:
        found = [one for each in loaded for one in each.analyze(text, each.supported_entities, None) or []]
        found = sorted((one for one in found if one.score >= 0.3), key=lambda one: (-one.score, one.start - one.end))
        kept: list[Span] = []
        for one in found:
            kind = PRESIDIO.get(one.entity_type)
            if kind and all(one.end <= start or end <= one.start for _, start, end in kept):
                kept.append((kind, one.start, one.end))
        return kept

    return scan


if __name__ == "__main__":
    scan_text = {"ko-pii": ko_pii, "presidio": presidio}[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(scan_text(json.loads(line))))
