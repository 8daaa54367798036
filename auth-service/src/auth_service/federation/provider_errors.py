"""Why a sign-in at an identity provider, or a question to it, failed."""

from enum import StrEnum

from security_common.errors import SecurityError

__all__ = ["ProviderFailure", "ProviderProblem"]


class ProviderProblem(StrEnum):
    """The kind of a failure. Logs, doctor and audit events contain the value, pages a text for it."""

    UNREACHABLE = "provider_unreachable"
    MISCONFIGURED = "provider_misconfigured"
    CLIENT_REFUSED = "provider_refused_client"
    CODE_REFUSED = "provider_refused_code"
    BAD_RESPONSE = "provider_bad_response"
    BAD_ID_TOKEN = "provider_bad_id_token"
    DENIED = "provider_denied"
    ERROR = "provider_error"


class ProviderFailure(SecurityError):
    """`problem` is the kind, `upstream_error` the OAuth error code of the provider if it sent one.
    `account_is_gone`: the provider said that the user is gone or disabled.

    `description` contains no text of the provider, except addresses and names that the operator has to compare.
    """

    error = "identity_provider_failed"

    def __init__(
        self,
        problem: ProviderProblem,
        description: str,
        *,
        hint: str = "",
        upstream_error: str | None = None,
        account_is_gone: bool = False,
    ) -> None:
        super().__init__(description, hint=hint)
        self.problem = problem
        self.upstream_error = upstream_error
        self.account_is_gone = account_is_gone
