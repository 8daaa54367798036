"""How much the property tests try: a quick, repeatable run by default, 10,000 examples with HYPOTHESIS_PROFILE=deep.

And where services that run inside a test's process log: not to stdout, where another test reads what a command printed.
"""

import os

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
