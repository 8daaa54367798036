"""`auth-service doctor`: can this machine fetch the metadata documents of the clients that it accepts?"""

from urllib.parse import urlsplit

from auth_service.clients.document_reach import KNOWN_DOCUMENTS, FetchAttempt, try_documents
from auth_service.clients.outgoing import Outgoing
from auth_service.declaration import Openness, RegistrationPolicy, load_declaration
from auth_service.settings import AuthSettings
from security_common.service import CheckResult

__all__ = ["check_documents"]

_HINT = (
    "allow outgoing HTTPS to this host; where that cannot be, set registration.metadata_documents to off in auth.yaml,"
    " and clients register instead, or keep copies of the documents in registration.pinned_directory"
)


async def check_documents(settings: AuthSettings) -> list[CheckResult]:
    """A warning for each published document that cannot be fetched: a machine may be offline on purpose."""
    policy = load_declaration(settings).registration
    outgoing = Outgoing.of(policy, None)
    try:
        attempts = await try_documents(outgoing.fetcher, _documents_of(policy))
    finally:
        await outgoing.close()
    return [_describe(attempt) for attempt in attempts]


def _documents_of(policy: RegistrationPolicy) -> list[str]:
    if policy.metadata_documents is Openness.OFF or policy.pinned_directory is not None:
        return []
    listed = policy.metadata_documents is Openness.LISTED
    return [url for url in KNOWN_DOCUMENTS if not listed or urlsplit(url).hostname in policy.hosts]


def _describe(attempt: FetchAttempt) -> CheckResult:
    if attempt.problem is None:
        return CheckResult(f"metadata documents: {attempt.host} can be reached", ok=True)
    told = f"metadata documents: {attempt.host}: {attempt.problem}: {attempt.description}"
    return CheckResult(told, ok=True, hint=_HINT, warning=True)
