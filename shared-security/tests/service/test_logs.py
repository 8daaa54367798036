"""The log lines of a service."""

import json
import subprocess
import sys

WRITE_LINES = """
import logging
import structlog
from security_common.service.logs import configure_logs
from security_common.service.settings import ServiceSettings

configure_logs(ServiceSettings.model_construct(log_format="json", log_level="info"), service="example")
logging.getLogger("library").warning("refused %s", "x" * 500_000)
structlog.get_logger("service").warning("refused", reason="x" * 500_000)
try:
    raise ValueError("x" * 500_000)
except ValueError:
    structlog.get_logger("service").exception("failed")
"""


def test_a_log_line_has_a_bounded_size():
    # In a process of its own, because the configuration applies to the whole process.
    run = subprocess.run([sys.executable, "-c", WRITE_LINES], capture_output=True, text=True, check=True, timeout=60)
    lines = run.stderr.splitlines()
    assert [json.loads(line)["event"][:7] for line in lines] == ["refused", "refused", "failed"]
    assert max(map(len, lines)) < 20_000
