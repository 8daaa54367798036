"""What a person should look at before approving a definition. A warning quotes nothing but names."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from gateway_service.catalogue.invisible_characters import find_invisible
from gateway_service.catalogue.tool_definitions import has_remote_reference
from security_common.pii import PIIDetector

__all__ = ["find_warnings"]

MIN_NAME_CHARACTERS = 5
_SEVERAL_WORDS = re.compile(r"[_.-]|[a-z][A-Z]")

# A definition describes what a tool does. A sentence that says what its reader has to do is meant for the model.
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|rule|previous|prior|above|earlier)"
    r"|\b(?:do not|don't|never|without)\b.{0,30}\b(?:tell|telling|mention|inform|informing|reveal|show|ask|asking"
    r"|notify|notifying)\b.{0,30}\b(?:user|human|person|anyone)\b"
    r"|\b(?:you|the (?:assistant|model|agent|ai|llm))\s+(?:must|should|have to|need to|are required to|shall)\b"
    r"|\b(?:before|after|instead of)\s+(?:using|calling|invoking|running)\b.{0,40}\b(?:tool|function|this)\b"
    r"|\balways\s+(?:call|use|run|invoke|send|include|pass)\b"
    r"|<\s*/?\s*(?:important|system|instructions?|secret|hidden|admin)\b"
    r"|\bsystem prompt\b|(?:~|/home/[^/\s]+|/root)/\.(?:ssh|aws|kube|config|env|netrc|cursor)\b"
    r"|(?:이전|위의|앞의|기존)\s*(?:지시|명령|규칙|프롬프트|지침).{0,10}(?:무시|잊)"
    r"|사용자(?:에게|한테).{0,20}(?:알리지|말하지|보여\s?주지|묻지)"
    r"|(?:반드시|항상|무조건).{0,20}(?:먼저|호출|사용|실행|전송|포함)"
    r"|시스템\s*프롬프트",
    re.IGNORECASE | re.DOTALL,
)


def find_warnings(definition: Mapping[str, Any], other_names: Collection[str], detector: PIIDetector) -> list[str]:
    """One sentence for each reason to be careful. `other_names` are the names of all other tools."""
    texts = list(_texts_of(definition))
    warnings: list[str] = []
    invisible = sorted({character for text in texts for character in find_invisible(text)})
    if invisible:
        warnings.append(f"characters that are not shown, or that reorder text: {', '.join(invisible)}")
    if any(_ORDERS.search(text) for text in texts):
        warnings.append("a text gives orders to its reader")
    everything = "\n".join(texts)
    mentioned = sorted(name for name in set(other_names) if _mentions(everything, name))
    if mentioned:
        warnings.append(f"mentions other tools: {', '.join(mentioned)}")
    kinds = sorted({str(finding.kind) for text in texts for finding in detector.scan_text(text)})
    if kinds:
        warnings.append(f"contains personal data: {', '.join(kinds)}")
    if has_remote_reference(definition):
        warnings.append("a schema refers to another document, so the tool will be left out")
    return warnings


def _texts_of(value: Any) -> Iterator[str]:
    """Every text of the definition, also the names of members, in which something can be hidden as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in cast("Mapping[str, Any]", value).items():
            yield name
            yield from _texts_of(each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _texts_of(each)


def _mentions(text: str, name: str) -> bool:
    """Whether the text has the name of a tool. A single word such as `search` may be a word of the language."""
    if len(name) < MIN_NAME_CHARACTERS or not _SEVERAL_WORDS.search(name):
        return False
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None
