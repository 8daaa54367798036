"""What holds for all tests.

How much the property tests try: a quick, repeatable run by default, 10,000 examples with HYPOTHESIS_PROFILE=deep.
Where services that run inside a test's process log: not to stdout, where another test reads what a command printed.
In which language commands print: English, whatever the locale of the machine is.
Which modules run first, and what is freed after each module.
"""

import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile("deep", max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

os.environ["LC_ALL"] = "C.UTF-8"

structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


# Tests of these files run before those of the following ones. What takes longest begins first, so that no process of
# `make test` still runs such a module when the others have finished.
LONGEST_FIRST = (
    "e2e-tests/",
    "shared-security/tests/pii/test_linear_steps.py",
    "mcp-resource-service/",
    "gateway-service/",
    "auth-service/",
    "shared-security/",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts what pytest-randomly has shuffled, and keeps its order within the parts."""

    def place(item: pytest.Item) -> int:
        found = (place for place, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=place)


# What FastAPI remembers for the whole process about the last 4,096 endpoints, which hold their application.
REMEMBERED_ENDPOINTS = ("_is_gen_callable_cached", "_is_async_gen_callable_cached", "_is_coroutine_callable_cached")


@pytest.fixture(scope="module", autouse=True)
def free_stopped_applications() -> Iterator[None]:
    """Frees the applications that the module has built and stopped: each takes more than a megabyte."""
    yield
    models = sys.modules.get("fastapi.dependencies.models")
    if models is not None:
        for name in REMEMBERED_ENDPOINTS:
            getattr(models, name).cache_clear()
