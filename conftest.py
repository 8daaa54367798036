"""What holds for all tests.

How much the property tests try: a quick, repeatable run by default, 10,000 examples with HYPOTHESIS_PROFILE=deep.
Where services that run inside a test's process log: not to stdout, where another test reads what a command printed.
And what is freed after each module.
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

structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


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
