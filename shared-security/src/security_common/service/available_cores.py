"""How many processor cores this process may use."""

import math
import os
from pathlib import Path

__all__ = ["available_cores"]

_CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = _CGROUP) -> int:
    """The cores that the process may run on, or fewer if its container has a limit (cgroup v2, `cpu.max`); at least 1.

    A limit of one and a half cores counts as two.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _cgroup_limit(cgroup)
    return cores if limit is None else max(1, min(cores, math.ceil(limit)))


def _cgroup_limit(cgroup: Path) -> float | None:
    """The time of all cores that the container may use, in cores; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup v2, or "max" in place of the quota
        return None
