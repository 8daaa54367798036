"""Every endpoint of the OpenAPI document, fed with what its schema allows and with what it does not: never a 5xx."""

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from running_auth import Service
from schemathesis import Case, GenerationMode

# A tenth of the profile's examples for each endpoint; the profile `deep` makes that many.
EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_input_is_a_server_error(service: Service, mode: GenerationMode) -> None:
    document = service.http.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    address = f"http://127.0.0.1:{service.settings.port}"
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not can_be_wrong(operation.definition.raw):
            continue

        @settings(EXAMPLES, max_examples=EXAMPLES.max_examples // 10)
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers_below_500(case: Case) -> None:
            answer = case.call(base_url=address)
            assert answer.status_code < 500, answer.text

        answers_below_500()


def can_be_wrong(operation: Mapping[str, Any]) -> bool:
    """Any text is right for a parameter that is text and may be left out."""
    content = operation.get("requestBody", {}).get("content", {})
    return any(media["schema"].get("required") for media in content.values())
