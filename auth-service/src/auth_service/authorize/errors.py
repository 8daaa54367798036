"""Errors of this package that are pages, because there is no address they could safely be sent to."""

from auth_service.web.errors import PageError

__all__ = ["ClientUnknown", "LogoutRefused", "NotYours", "RedirectRefused", "RequestFinished", "RequestGone"]


class ClientUnknown(PageError):
    """No client has this id, or its metadata document cannot be had."""

    error = "invalid_client"
    page = "client_unknown"


class RedirectRefused(PageError):
    """The redirect URI is missing or not the client's."""

    page = "redirect_refused"


class RequestGone(PageError):
    """The request behind a page was left for too long."""

    page = "request_gone"
    restarts = True


class RequestFinished(PageError):
    """The request behind a page was answered before."""

    page = "request_finished"
    restarts = True


class NotYours(PageError):
    """The request behind a page was begun by another browser."""

    status = 403
    page = "not_yours"
    restarts = True


class LogoutRefused(PageError):
    """The address to go to after logout is not the client's."""

    page = "logout_refused"
