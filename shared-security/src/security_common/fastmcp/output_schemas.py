"""Output schemas that a protected result still matches.

A client may check `structuredContent` against the published `outputSchema`. A masked text no longer has the format or
length of the value, and ciphertext takes the place of a number, so the rules that a protected value can violate are
left out. The structure (types, members, items, required members) stays.

Keywords: JSON Schema 2020-12, Validation (sections 6.2 to 6.5, 7) and Core (sections 10.2 and 10.3).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, cast

from security_common.pii import Operator
from security_common.tool_policy import SecuredTool
from security_common.tool_policy.policy import PIIPolicy

__all__ = ["SchemaLoosening", "loosen_listed_schemas"]

VALUE_RULES = frozenset(
    {
        "const",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxLength",
        "maximum",
        "minLength",
        "minimum",
        "multipleOf",
        "pattern",
        "uniqueItems",
    }
)
"""Rules about single values, and about values that may become equal once they are masked."""

CONDITIONAL_RULES = frozenset(
    {"contains", "dependentSchemas", "else", "if", "maxContains", "minContains", "not", "propertyNames", "then"}
)
"""Rules whose outcome depends on the content of other values, or of keys."""

OMITTED_KEYWORDS = VALUE_RULES | CONDITIONAL_RULES | {"oneOf"}

POLICIES_WITH_TEXT = frozenset({PIIPolicy.ENCRYPT, PIIPolicy.TOKENIZE})
"""Policies under which a number becomes text."""

RULES_BY_MEMBER_NAME = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties"})

SCHEMA_MAPS = frozenset({"$defs", "definitions", "properties"})
SCHEMA_LISTS = frozenset({"allOf", "anyOf", "prefixItems"})
SINGLE_SCHEMAS = frozenset({"additionalProperties", "items", "unevaluatedItems", "unevaluatedProperties"})


def loosen_listed_schemas(
    listed: dict[str, Any], policy_of_tool: Callable[[Any], SecuredTool | None], configured: Collection[Operator | None]
) -> dict[str, Any]:
    """The result of `tools/list` with output schemas that protected results match.

    `configured` are the operators of the configuration file, which apply in place of a policy. A tool whose policy is
    not known may have any.
    """
    tools: list[dict[str, Any]] = []
    for definition in listed.get("tools", []):
        tool = policy_of_tool(definition.get("name"))
        policy = tool.result_policy if tool is not None else PIIPolicy.ENCRYPT
        if "outputSchema" not in definition or not _may_change_results(policy, configured):
            tools.append(definition)
            continue
        numbers_become_text = policy in POLICIES_WITH_TEXT or Operator.ENCRYPT in configured
        schema = SchemaLoosening(numbers_become_text).loosen(definition["outputSchema"])
        tools.append({**definition, "outputSchema": schema})
    return {**listed, "tools": tools}


def _may_change_results(policy: PIIPolicy, configured: Collection[Operator | None]) -> bool:
    unchanging = {None, Operator.KEEP, Operator.REJECT}
    return policy is not PIIPolicy.OBSERVE or any(operator not in unchanging for operator in configured)


@dataclass(frozen=True, slots=True)
class SchemaLoosening:
    """Leaves out the rules that a protected value can violate. `numbers_become_text`: text may take their place."""

    numbers_become_text: bool

    def loosen(self, schema: Any) -> Any:
        """A new schema with looser rules. Boolean schemas stay as they are."""
        if not isinstance(schema, dict):
            return schema
        keywords = cast("dict[str, Any]", schema)
        loosened = {
            keyword: self._loosen_keyword(keyword, value)
            for keyword, value in keywords.items()
            if keyword not in OMITTED_KEYWORDS
        }
        if "oneOf" in keywords:
            # More than one alternative may match once its rules are left out.
            alternatives = {"anyOf": self._loosen_keyword("anyOf", keywords["oneOf"])}
            if "anyOf" in loosened:
                alternatives = {"allOf": [*loosened.get("allOf", []), alternatives]}
            loosened |= alternatives
        if "patternProperties" in keywords:
            # A masked name may match no pattern, and then the rules for other members would apply to it.
            loosened = {keyword: value for keyword, value in loosened.items() if keyword not in RULES_BY_MEMBER_NAME}
        return loosened

    def _loosen_keyword(self, keyword: str, value: Any) -> Any:
        if keyword in SCHEMA_MAPS and isinstance(value, dict):
            return {name: self.loosen(each) for name, each in cast("dict[str, Any]", value).items()}
        if keyword in SCHEMA_LISTS and isinstance(value, list):
            return [self.loosen(each) for each in cast("list[Any]", value)]
        if keyword in SINGLE_SCHEMAS:
            return self.loosen(value)
        if keyword == "type" and self.numbers_become_text:
            return _add_text_to_numbers(value)
        return value


def _add_text_to_numbers(types: Any) -> Any:
    """The value of `type`, with `string` added if it has a type of numbers."""
    names: list[str] = [types] if isinstance(types, str) else list(types)
    has_numbers = "integer" in names or "number" in names
    return [*names, "string"] if has_numbers and "string" not in names else types
