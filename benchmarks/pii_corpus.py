"""The labelled corpus: templates filled with generated values, plain and in spellings that evade simple detectors.

python benchmarks/pii_corpus.py > corpus.jsonl      one JSON object per line: group, text, spans [kind, start, end]
"""

import base64
import html
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import quote

from pii_values import make

__all__ = ["WRITTEN_SETS", "Sample", "corpus", "written"]

SEED = 20261123
WRITTEN_SETS = ("by_hand", "blind", "blind_again", "blind_shop", "blind_travel")
"""The sets of labelled texts that people wrote: NAME is in pii_NAME.txt."""
_TEMPLATES = tomllib.loads(Path(__file__).with_name("pii_templates.toml").read_text(encoding="utf-8"))
_NATIONAL_IDS = tomllib.loads(Path(__file__).with_name("pii_national_ids.toml").read_text(encoding="utf-8"))
_SLOT = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_FIELD = re.compile(r"@(\S+) ")
_MARK = re.compile(r"\[\[([A-Z_]+):(.*?)\]\]", re.DOTALL)
_PLAIN_TEXTS = 1_500  # of each of the two sets
_SPELLED_TEXTS = 40  # of each spelling and set
_NATIONAL_ID_TEXTS = 160  # of each of the two sets


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, the spans in it that a detector should find, and the name of the field that contains it, if any."""

    group: str
    text: str
    spans: tuple[tuple[str, int, int], ...]
    field_name: str | None = None


def _respell_digits(zero: int) -> Callable[[str, Random], str]:
    return lambda value, _: "".join(chr(zero + int(char)) if char.isdigit() else char for char in value)


def _full_width(value: str, _: Random) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in value)


def _zero_width(value: str, rng: Random) -> str:
    places = {rng.randrange(1, len(value)) for _ in range(3)}
    return "".join(f"\u200b{char}" if index in places else char for index, char in enumerate(value))


def _hangul_digits(value: str, _: Random) -> str:
    return value.translate(str.maketrans("0123456789", "공일이삼사오육칠팔구"))


def _line_break(value: str, _: Random) -> str:
    head, joint, tail = value.partition("-" if "-" in value else "@")
    return f"{head}{joint}\n{tail}"


_STRUCTURED = ("PHONE", "KR_RRN", "CREDIT_CARD", "EMAIL", "BUSINESS_NUMBER")
_DASHED = ("PHONE", "KR_RRN", "CREDIT_CARD", "BUSINESS_NUMBER", "DRIVER_LICENSE")
_NAMES = ("PERSON", "ADDRESS")

# Each spelling: the kinds it is used for, and a function that writes a value in it.
SPELLINGS: Mapping[str, tuple[tuple[str, ...], Callable[[str, Random], str]]] = {
    "full_width": (_STRUCTURED, _full_width),
    "arabic_digits": (_DASHED, _respell_digits(0x660)),
    "bold_digits": (_DASHED, _respell_digits(0x1D7CE)),
    "zero_width": (_STRUCTURED, _zero_width),
    "odd_dash": (_DASHED, lambda value, rng: value.replace("-", rng.choice("‐‑–—−－"))),
    "dot": (("PHONE", "CREDIT_CARD"), lambda value, _: value.replace("-", ".")),
    "space": (("PHONE", "CREDIT_CARD"), lambda value, _: value.replace("-", " ")),
    "wide_dash": (_DASHED, lambda value, _: value.replace("-", " - ")),
    "hangul_digits": (("PHONE",), _hangul_digits),
    "split_hangul": (_NAMES, lambda value, _: unicodedata.normalize("NFD", value)),
    "percent": (_STRUCTURED, lambda value, _: quote(value, safe="").replace("-", "%2D")),
    "html_entity": (_STRUCTURED, lambda value, _: "".join(f"&#{ord(char)};" for char in value)),
    "html_named": (("EMAIL",), lambda value, _: html.escape(value).replace("@", "&commat;").replace(".", "&period;")),
    "unicode_escape": ((*_NAMES, *_STRUCTURED), lambda value, _: "".join(f"\\u{ord(char):04x}" for char in value)),
    "base64": (_STRUCTURED, lambda value, _: base64.b64encode(value.encode()).decode()),
    "line_break": (("PHONE", "KR_RRN", "EMAIL"), _line_break),
    "spelled_email": (("EMAIL",), lambda value, rng: value.replace("@", rng.choice([" (at) ", "[at]", " 골뱅이 "]))),
    "lone_digits": (("PHONE",), lambda value, _: " ".join(filter(str.isdigit, value))),
}
_PLAIN_PHONE = re.compile(r"010-\d{4}-\d{4}")


def _fill(template: str, rng: Random, spell: Callable[[str, str], str]) -> tuple[str, list[tuple[str, int, int]]]:
    parts: list[str] = []
    spans: list[tuple[str, int, int]] = []
    position = length = 0
    for slot in _SLOT.finditer(template):
        literal = template[position : slot.start()] + (slot.group()[0] if slot.group(1) is None else "")
        parts.append(literal)
        length += len(literal)
        position = slot.end()
        name = slot.group(1)
        if name:
            kind = "NATIONAL_ID" if name.startswith("NATIONAL_ID") else name.removesuffix("_EN")
            value = spell(kind, make(name, rng))
            if name.isupper():
                spans.append((kind, length, length + len(value)))
            parts.append(value)
            length += len(value)
    return "".join([*parts, template[position:]]), spans


def _plain_texts(which: str, rng: Random) -> Iterator[Sample]:
    groups = _TEMPLATES[which]
    names = list(groups)
    for index in range(_PLAIN_TEXTS):
        group = names[index % len(names)]
        text, spans = _fill(rng.choice(groups[group]), rng, lambda _, value: value)
        yield Sample(f"{which}/{group}", text, tuple(spans))


def _spelled_texts(which: str, rng: Random) -> Iterator[Sample]:
    templates = [template for group in _TEMPLATES[which].values() for template in group]
    for name, (kinds, write) in SPELLINGS.items():
        usable = [template for template in templates if any(f"{{{kind}}}" in template for kind in kinds)]
        for _ in range(_SPELLED_TEXTS):
            template = rng.choice(usable)

            def spell(
                kind: str, value: str, kinds: tuple[str, ...] = kinds, write: Callable[[str, Random], str] = write
            ) -> str:
                if kind not in kinds:
                    return value
                if kind == "PHONE":  # the spellings are those that people use for mobile numbers
                    value = f"010-{rng.randint(2000, 9999)}-{rng.randint(0, 9999):04}"
                return write(value, rng)

            text, spans = _fill(template, rng, spell)
            yield Sample(f"{which}/adv/{name}", text, tuple(spans))


def _national_id_texts(which: str, rng: Random) -> Iterator[Sample]:
    templates = [template for templates in _NATIONAL_IDS[which].values() for template in templates]
    for index in range(_NATIONAL_ID_TEXTS):
        text, spans = _fill(templates[index % len(templates)], rng, lambda _, value: value)
        yield Sample(f"{which}/national_ids", text, tuple(spans))


def corpus(seed: int = SEED) -> list[Sample]:
    """All samples; the same seed gives the same samples."""
    rng = Random(seed)
    return [
        sample
        for which in ("tuned", "held_out")
        for part in (_plain_texts, _spelled_texts)
        for sample in part(which, rng)
    ] + [sample for which in ("tuned", "held_out") for sample in _national_id_texts(which, rng)]


def written(which: str) -> list[Sample]:
    """The samples of pii_<which>.txt, one of WRITTEN_SETS."""
    path = Path(__file__).with_name(f"pii_{which}.txt")
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return [_parse_line(line, which) for line in lines]


def _parse_line(line: str, group: str) -> Sample:
    """Parses `@phone [[PHONE:01012345678]]`: the name of the field, then text with each labelled value in brackets."""
    field = _FIELD.match(line)
    text = line[field.end() :] if field else line
    text = text.replace("\\n", "\n").replace("\\u200b", "\u200b").replace("\\-", "")
    spans: list[tuple[str, int, int]] = []
    mark = _MARK.search(text)
    while mark is not None:
        kind, value = mark.groups()
        spans.append((kind, mark.start(), mark.start() + len(value)))
        text = text[: mark.start()] + value + text[mark.end() :]
        mark = _MARK.search(text)
    return Sample(group, text, tuple(spans), field.group(1) if field else None)


if __name__ == "__main__":
    for sample in corpus():
        print(json.dumps({"group": sample.group, "text": sample.text, "spans": sample.spans}, ensure_ascii=False))
