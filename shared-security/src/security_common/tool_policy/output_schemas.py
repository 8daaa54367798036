"""Output schemas that a protected result still matches.

A client may check `structuredContent` against the published `outputSchema`. A masked text no longer has the format or
length of the value, and ciphertext takes the place of a number, so the rules that a protected value can violate are
left out. The structure (types, members, items, required members) stays.

Keywords: JSON Schema 2020-12, Validation (sections 6.2 to 6.5, 7) and Core (sections 10.2 and 10.3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from security_common.pii import Operator, PIIConfiguration, PIIKind
from security_common.tool_policy.policy import PIIPolicy, operator_of
from security_common.tool_policy.secured_tool import SecuredTool

__all__ = ["SchemaLoosening", "loosen_listed_schemas", "loosen_output_schema"]

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

RULES_BY_MEMBER_NAME = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties"})

TEXT_OPERATORS = {None, Operator.ENCRYPT, Operator.TOKENIZE}
"""With these, a number becomes text. None means the encryption of a whole value."""

UNCHANGING_OPERATORS = {Operator.KEEP, Operator.REJECT}
"""With these, a result is sent as it is or not at all."""

SCHEMA_MAPS = frozenset({"$defs", "definitions", "properties"})
SCHEMA_LISTS = frozenset({"allOf", "anyOf", "prefixItems"})
SINGLE_SCHEMAS = frozenset({"additionalProperties", "items", "unevaluatedItems", "unevaluatedProperties"})


def loosen_listed_schemas(
    listed: dict[str, Any], secured_tool_of_name: Callable[[Any], SecuredTool | None], configuration: PIIConfiguration
) -> dict[str, Any]:
    """The result of `tools/list` with output schemas that protected results match.

    A tool whose policy is not known may have any.
    """
    tools: list[dict[str, Any]] = []
    for definition in listed.get("tools", []):
        name = definition.get("name")
        tool = secured_tool_of_name(name)
        policy = tool.result_policy if tool is not None else PIIPolicy.ENCRYPT
        tools.append(loosen_output_schema(definition, policy, name, configuration))
    return {**listed, "tools": tools}


def loosen_output_schema(
    definition: dict[str, Any], policy: PIIPolicy, tool_name: str, configuration: PIIConfiguration
) -> dict[str, Any]:
    """The definition of a tool with an output schema that results match after `policy` was applied to them.

    The configuration can name other operators than those of the policy for the tool `tool_name`.
    """
    operators = _operators_of(policy, tool_name, configuration)
    if "outputSchema" not in definition or operators <= UNCHANGING_OPERATORS:
        return definition
    numbers_become_text = not operators.isdisjoint(TEXT_OPERATORS)
    schema = SchemaLoosening(numbers_become_text).loosen(definition["outputSchema"])
    return {**definition, "outputSchema": schema}


def _operators_of(policy: PIIPolicy, tool_name: str, configuration: PIIConfiguration) -> set[Operator | None]:
    """The operators that may apply to results of a tool."""
    masks = policy is PIIPolicy.MASK
    return {configuration.operator(kind, tool_name, masks=masks) or operator_of(policy) for kind in PIIKind}


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
