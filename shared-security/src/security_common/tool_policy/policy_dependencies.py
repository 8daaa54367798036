"""What every secured call of this process uses: journal, detector, keys; given by the service or made when needed."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from security_common.audit import Journal, open_journal
from security_common.audit.chain_key import LIBRARY_SERVICE
from security_common.encryption import EncryptionError, EncryptionService, get_encryption_service
from security_common.pii import Operator, PIIConfigurationError, PIIDetector, get_pii_detector
from security_common.settings import SecuritySettings
from security_common.tool_policy.operators import ReplacementWriter
from security_common.tool_policy.policy import PIIPolicy, operator_of
from security_common.tool_policy.pseudonyms import KeyedPseudonyms

__all__ = ["FrameworkAdapter", "PolicyDependencies", "configure", "current_adapter", "policy_dependencies"]


@dataclass(slots=True)
class FrameworkAdapter:
    """The framework a call came through: what it calls the tool, what it injects, how it wants its errors.

    `take_replies` hands what the client has answered to earlier questions to a treatment, and gives the tool what that
    makes of it; `is_question` tells a result that asks the client from one that ends the call. `call` is the one that
    reached a secured tool, None before that.
    """

    name: str | None
    injected: Callable[[Callable[..., Any]], frozenset[str]]
    failure: Callable[[Exception], Exception]
    take_replies: Callable[[Callable[[Any], Any]], None]
    is_question: Callable[[Any], bool]
    call: Any = None

    def let_go(self) -> None:
        """Parts request, session, adapter and call, which hold each other: the collector would stall on thousands."""
        self.take_replies = lambda _: None
        if self.call is not None:
            self.call.adapter = None


current_adapter: ContextVar[FrameworkAdapter | None] = ContextVar("current_adapter", default=None)


class PolicyDependencies:
    """The parts in use. What `configure` was not given is made from SecuritySettings, journal and keyring on first use.

    Without `pseudonyms` and without their key in the settings no reference is recorded. Raises PseudonymKeyInvalid,
    and PIIConfigurationError where an operator needs that key.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        detector: PIIDetector | None = None,
        encryption: EncryptionService | None = None,
        pseudonyms: KeyedPseudonyms | None = None,
    ) -> None:
        self._journal = journal
        self._encryption = encryption
        self._making = threading.Lock()
        self.detector = detector or get_pii_detector()
        if pseudonyms is None and (key_file := SecuritySettings().pseudonym_key_file):
            pseudonyms = KeyedPseudonyms(key_file)
        if pseudonyms is None and Operator.PSEUDONYM in self.detector.configuration.operators():
            raise PIIConfigurationError("pseudonym has no key", hint="set SECURITY_PSEUDONYM_KEY_FILE, or use mask")
        self.pseudonyms = pseudonyms
        self.clean: set[tuple[str, str | None]] = set()

    @property
    def encryption(self) -> EncryptionService:
        """Raises EncryptionKeyMissing where no key is configured."""
        return self._encryption or get_encryption_service()

    def recognizes(self, token: str) -> bool:
        """Whether this is ciphertext of ours. Where there is no key, there is none."""
        try:
            return self.encryption.recognizes(token)
        except EncryptionError:
            return False

    def writer(self, policy: PIIPolicy, tool: str, tenant: str, *, message: bool) -> ReplacementWriter:
        """What stands in place of personal data in one call."""
        return ReplacementWriter(
            self.detector.configuration, tool, tenant, self.pseudonyms, operator_of(policy), message
        )

    @property
    def journal(self) -> Journal:
        """Raises JournalUnavailable or OSError where none can be opened."""
        if self._journal is None:
            with self._making:
                if self._journal is None:
                    self._journal = _open_own_journal()
        return self._journal


_in_use: PolicyDependencies | None = None


def policy_dependencies() -> PolicyDependencies:
    """The runtime of this process."""
    global _in_use  # noqa: PLW0603 - a decorator has no other place to learn what the process uses
    if _in_use is None:
        _in_use = PolicyDependencies()
    return _in_use


def configure(
    *,
    journal: Journal | None = None,
    detector: PIIDetector | None = None,
    encryption: EncryptionService | None = None,
    pseudonyms: KeyedPseudonyms | None = None,
) -> None:
    """Sets what every secured tool of this process uses, in place of anything set before.

    A service calls it once, when it starts. A part left out is made on first use, from SecuritySettings.
    """
    global _in_use  # noqa: PLW0603 - see `policy_dependencies`
    _in_use = PolicyDependencies(journal, detector, encryption, pseudonyms)


def _open_own_journal() -> Journal:
    """A journal for a program without a service around it: local, never shipped, open until the process ends.

    The journal lives on an event loop. The caller may have none, or one that ends before the next call: this one runs
    in a thread of its own. It is not stopped in the end; every event that was answered for is on disk by then.
    """
    journal = open_journal(service=LIBRARY_SERVICE, settings=SecuritySettings(), redis=None)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="own-audit-journal", daemon=True).start()
    asyncio.run_coroutine_threadsafe(journal.start(), loop).result()
    return journal
