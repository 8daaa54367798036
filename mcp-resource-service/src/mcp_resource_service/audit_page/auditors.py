"""The signed-in auditor of a request, and the audit events of what the auditor does."""

from collections.abc import Callable
from typing import ClassVar

from starlette.requests import Request

from mcp_resource_service.audit_page.oauth_sign_in import CLIENT_ID, OAuthSignIn
from mcp_resource_service.audit_page.sessions import AuditorSession, Sessions, SignedInUser, read_cookies
from security_common.audit import Action, AuditEvent, EventType, Journal, Outcome
from security_common.errors import SecurityError
from security_common.service import ServiceCookies

__all__ = ["AuditorAccess", "FormRefused"]


class FormRefused(SecurityError):
    """A form was sent by a page of another site."""

    error: ClassVar[str] = "form_refused"


class AuditorAccess:
    """Finds the auditor of a request, checks forms and records what auditors do.

    `clock` returns seconds since the epoch.
    """

    def __init__(
        self,
        sessions: Sessions,
        cookies: ServiceCookies,
        journal: Journal,
        oauth: OAuthSignIn,
        *,
        origin: str,
        clock: Callable[[], float],
    ) -> None:
        self.sessions = sessions
        self.cookies = cookies
        self._oauth = oauth
        self._journal = journal
        self._origin = origin
        self._clock = clock

    def session_id(self, request: Request) -> str | None:
        """Returns the session id in the cookie of a request, or None."""
        return self.cookies.read(read_cookies(request), "")

    async def of_request(self, request: Request) -> SignedInUser | None:
        """Returns the auditor who is signed in, or None; also None when the auditor's token was revoked.

        Raises IssuerUnreachable if it is not known whether it was.
        """
        session = await self.sessions.load(self.session_id(request))
        auditor = self.of_session(session) if isinstance(session, AuditorSession) else None
        return auditor if auditor is not None and await self._oauth.is_valid(auditor) else None

    def of_session(self, session: AuditorSession) -> SignedInUser | None:
        """Returns the auditor of a session, or None when the auditor's token has expired."""
        return session.auditor if session.auditor.expires_at_seconds > self._clock() else None

    def require_own_form(self, request: Request) -> None:
        """Checks that a POST comes from a form of this page: browsers send the origin with every POST.

        Raises FormRefused for the form of another site, which would act in the name of the auditor.
        """
        if request.headers.get("origin") != self._origin:
            raise FormRefused("the form came from another site", hint="open the audit page and try again")

    async def record(
        self,
        request: Request,
        auditor: SignedInUser,
        action: Action,
        *,
        task: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Records an audit event; returns when it is on disk."""
        await self._journal.record(
            AuditEvent(
                event_type=EventType.AUDIT_PAGE,
                action_taken=action,
                outcome=Outcome.REFUSED if action is Action.REFUSED else Outcome.SUCCESS,
                user_id=auditor.subject,
                issuer=auditor.issuer,
                client_id=CLIENT_ID,
                source_address=request.client.host if request.client else None,
                task=task,
                reason=reason,
            )
        )
