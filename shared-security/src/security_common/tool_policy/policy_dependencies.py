"""What the secured tools of this process use: journal, detector, encryption, pseudonyms and placeholders.

A service passes them to `configure` when it starts. What it leaves out is created from SecuritySettings: a journal and
an encryption service on first use, a detector and pseudonyms at once.
"""

import asyncio
import threading

from security_common.audit import Journal, open_journal
from security_common.audit.chain_key import LIBRARY_SERVICE
from security_common.encryption import EncryptionError, EncryptionService, get_encryption_service
from security_common.pii import Operator, PIIConfigurationError, PIIDetector, PIIKind, get_pii_detector
from security_common.settings import SecuritySettings
from security_common.tool_policy.call_placeholders import CallPlaceholders
from security_common.tool_policy.clean_texts import CleanTexts
from security_common.tool_policy.leaf_protection import ReplacementWriter
from security_common.tool_policy.placeholder_store import InMemoryPlaceholderStore, PlaceholderStore
from security_common.tool_policy.policy import PIIPolicy, operator_of
from security_common.tool_policy.pseudonyms import KeyedPseudonyms
from security_common.tool_policy.search_queue import SearchQueue

__all__ = ["PolicyDependencies", "configure", "policy_dependencies"]

_MAX_WRITERS = 1024

_WriterKey = tuple[PIIPolicy, str, str, bool, frozenset[PIIKind]]


class PolicyDependencies:
    """The objects in use. Journal and encryption are created on first use if they are not given.

    Without `pseudonyms` and without their key in the settings, audit events have no subject references.

    Raises PseudonymKeyInvalid, and PIIConfigurationError if an operator needs that key and there is none.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        detector: PIIDetector | None = None,
        encryption: EncryptionService | None = None,
        pseudonyms: KeyedPseudonyms | None = None,
        placeholders: PlaceholderStore | None = None,
    ) -> None:
        self.placeholders = placeholders or InMemoryPlaceholderStore()
        self._journal = journal
        self._encryption = encryption
        self._journal_creation = threading.Lock()
        self.detector = detector or get_pii_detector()
        self.pseudonyms = pseudonyms or _pseudonyms_from_settings()
        if self.pseudonyms is None and Operator.PSEUDONYM in self.detector.configuration.operators():
            raise PIIConfigurationError(
                "the operator pseudonym has no key", hint="set SECURITY_PSEUDONYM_KEY_FILE, or use mask"
            )
        self.clean_texts = CleanTexts()
        self._writers: dict[_WriterKey, ReplacementWriter] = {}
        settings = SecuritySettings()
        self.search_queue = SearchQueue(
            max_characters=settings.pii_search_max_characters,
            max_characters_of_caller=settings.pii_search_max_characters_per_caller,
        )

    @property
    def encryption(self) -> EncryptionService:
        """Raises EncryptionKeyMissing if no key is configured."""
        return self._encryption or get_encryption_service()

    def require_encryption_key(self) -> None:
        """Raises EncryptionKeyMissing if no key is configured."""
        if self._encryption is None:
            get_encryption_service()

    def is_own_ciphertext(self, token: str) -> bool:
        """True for ciphertext of the keys in use. Without a key there is none."""
        try:
            return self.encryption.recognizes(token)
        except EncryptionError:
            return False

    def writer(
        self,
        policy: PIIPolicy,
        tool: str,
        issuer: str,
        *,
        for_messages: bool,
        kept_kinds: frozenset[PIIKind] = frozenset(),
    ) -> ReplacementWriter:
        """What writes the replacements of personal data in the calls of a tool."""
        key = (policy, tool, issuer, for_messages, kept_kinds)
        writer = self._writers.get(key)
        if writer is None:
            writer = ReplacementWriter(
                self.detector.configuration,
                tool,
                issuer,
                self.pseudonyms,
                operator_of(policy),
                for_messages=for_messages,
                kept_kinds=kept_kinds,
            )
            if len(self._writers) >= _MAX_WRITERS:
                self._writers.clear()
            self._writers[key] = writer
        return writer

    def placeholders_of_call(
        self, policy: PIIPolicy, result_policy: PIIPolicy, reveal: frozenset[PIIKind]
    ) -> CallPlaceholders | None:
        """The placeholders of one call, or None for a tool without the policy `tokenize`."""
        if PIIPolicy.TOKENIZE not in {policy, result_policy}:
            return None
        return CallPlaceholders(self.placeholders, reveal)

    @property
    def journal(self) -> Journal:
        """Raises JournalUnavailable or OSError if no journal can be opened."""
        if self._journal is None:
            with self._journal_creation:
                if self._journal is None:
                    self._journal = _open_library_journal()
        return self._journal


_in_use: PolicyDependencies | None = None


def policy_dependencies() -> PolicyDependencies:
    """The dependencies of this process."""
    global _in_use  # noqa: PLW0603 - a decorated function has no other way to get what the process uses
    if _in_use is None:
        _in_use = PolicyDependencies()
    return _in_use


def configure(
    *,
    journal: Journal | None = None,
    detector: PIIDetector | None = None,
    encryption: EncryptionService | None = None,
    pseudonyms: KeyedPseudonyms | None = None,
    placeholders: PlaceholderStore | None = None,
) -> None:
    """Sets what every secured tool of this process uses. It replaces everything that was set before.

    A service calls it once, when it starts. What is left out is created from SecuritySettings (see the module); the
    placeholders of the policy `tokenize` are then kept in the memory of this process.
    """
    global _in_use  # noqa: PLW0603 - see `policy_dependencies`
    _in_use = PolicyDependencies(journal, detector, encryption, pseudonyms, placeholders)


def _pseudonyms_from_settings() -> KeyedPseudonyms | None:
    key_file = SecuritySettings().pseudonym_key_file
    return KeyedPseudonyms(key_file) if key_file else None


def _open_library_journal() -> Journal:
    """A journal for a program that is not one of the services: local, not shipped to Redis, open until the end.

    A journal runs on an event loop. The program may have none, or one that ends before the next call, so this journal
    gets a thread with its own loop. It is never stopped: every event is on disk before its call is answered.
    """
    journal = open_journal(service=LIBRARY_SERVICE, settings=SecuritySettings(), redis=None)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="library-audit-journal", daemon=True).start()
    asyncio.run_coroutine_threadsafe(journal.start(), loop).result()
    return journal
