"""Runs another engine for pii_report.py: reads one JSON text per line, writes one JSON list of spans per line.

python benchmarks/pii_rivals.py ko-pii < texts.jsonl      in the environment that `make pii-rivals` installs
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
    return lambda text: [
        (KO_PII[entity.label], entity.start, entity.end) for entity in detect(text) if entity.label in KO_PII
    ]


def presidio() -> Callable[[str], list[Span]]:
    """The pattern recognizers, Korean ones included, without UrlRecognizer and without a language model."""
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
    loaded = [
        getattr(recognizers, f"{name}Recognizer")() for name in names if hasattr(recognizers, f"{name}Recognizer")
    ]

    def scan(text: str) -> list[Span]:
        found = [
            entity
            for recognizer in loaded
            for entity in recognizer.analyze(text, recognizer.supported_entities, None) or []
            if entity.score >= 0.3
        ]
        found.sort(key=lambda entity: (-entity.score, entity.start - entity.end))
        kept: list[Span] = []
        for entity in found:
            kind = PRESIDIO.get(entity.entity_type)
            if kind and all(entity.end <= start or end <= entity.start for _, start, end in kept):
                kept.append((kind, entity.start, entity.end))
        return kept

    return scan


if __name__ == "__main__":
    scan_text = {"ko-pii": ko_pii, "presidio": presidio}[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(scan_text(json.loads(line))))
