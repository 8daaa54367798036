"""How many refusals go on record: enough to see an attack, too few to fill the disk with one."""

from collections import Counter
from collections.abc import Callable

from security_common.addresses import network_of

__all__ = ["MINUTE_SECONDS", "PER_CALLER", "PER_MINUTE", "REST_UNRECORDED", "RefusalBounds"]

PER_CALLER, PER_MINUTE = 120, 6000
MINUTE_SECONDS = 60
REST_UNRECORDED = "rest_of_minute_unrecorded"


class RefusalBounds:
    """Each caller, or each source address where nobody knows the caller, gets so many a minute; all get so many."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._minute = 0
        self._total = 0
        self._seen: Counter[str] = Counter()

    def admit(self, who: str, reason: str) -> str | None:
        """The reason to record; the last one within a bound says that the rest is not recorded, the rest is None."""
        minute = int(self._clock() // MINUTE_SECONDS)
        if minute != self._minute:
            self._minute, self._total, self._seen = minute, 0, Counter()
        if self._total >= PER_MINUTE:
            return None
        who = network_of(who)  # else an IPv6 network, which is one machine's, would have the bound for all
        self._seen[who] += 1
        if self._seen[who] > PER_CALLER:
            return None
        self._total += 1
        return REST_UNRECORDED if self._seen[who] == PER_CALLER or self._total == PER_MINUTE else reason
