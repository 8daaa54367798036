"""Errors of this room that are pages, because there is no address they could safely travel to."""

from auth_service.web.errors import PageError

__all__ = ["ClientUnknown", "LogoutRefused", "NotYours", "RedirectRefused", "RequestGone"]


class ClientUnknown(PageError):
    """No client has this id, or its metadata document cannot be had."""

    error = "invalid_client"
    page = "client_unknown"


class RedirectRefused(PageError):
    """The redirect URI is missing or not the client's."""

    page = "redirect_refused"


class RequestGone(PageError):
    """The request behind a page is finished or was left for too long."""

    page = "request_gone"


class NotYours(PageError):
    """The request behind a page was begun by another browser."""

    status = 403
    page = "not_yours"


class LogoutRefused(PageError):
    """The address to go to after logout is not the client's."""

    page = "logout_refused"
