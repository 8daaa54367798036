"""An agent finishes the tasks of benchmarks/blind_tasks.py without personal data."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from blind_tasks import measure, tasks


def test_tasks_succeed_with_placeholders_and_no_clear_value_reaches_the_client() -> None:
    assert len(tasks()) == 20
    without_policy, with_placeholders = measure("observe"), measure("tokenize")
    assert without_policy.succeeded == 20
    assert without_policy.clear_values > 0
    assert with_placeholders.clear_values == 0
    assert with_placeholders.succeeded >= 0.95 * without_policy.succeeded


def test_tasks_fail_with_masks() -> None:
    """Otherwise the tasks would not measure what placeholders are for."""
    masked = measure("mask")
    assert masked.clear_values == 0
    assert masked.succeeded == 0
