"""Explains failures of Redis to an operator: the cause in one sentence, and how to fix it."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import urlsplit

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from security_common.errors import SecurityError

__all__ = ["RedisUnavailable", "explain_redis_failure", "explaining_redis_failures"]

_MAX_ANSWER_CHARACTERS = 200


class RedisUnavailable(SecurityError):
    """Redis cannot be used. The description contains the reason."""

    error: ClassVar[str] = "redis_unavailable"


def explain_redis_failure(
    failure: Exception, *, url: str, url_setting: str = "", file_setting: str = ""
) -> RedisUnavailable:
    """Turns an exception of redis-py, or an `OSError`, into an error with a hint.

    `url` is shown without a password. `url_setting` and `file_setting` are the names of the variables or options for
    the URL and for the file with the password.
    """
    problem, hint = _explain(failure, url_setting or "the address of Redis", file_setting or "its password file")
    return RedisUnavailable(f"Redis at {_address(url)} {problem}", hint=hint)


@contextmanager
def explaining_redis_failures(*, url: str, url_setting: str, file_setting: str) -> Generator[None]:
    """Raises failures of Redis inside the block as `RedisUnavailable`, with a hint for the operator.

    The arguments are those of `explain_redis_failure`.
    """
    try:
        yield
    except (RedisError, TimeoutError, ConnectionError) as failure:
        raise explain_redis_failure(failure, url=url, url_setting=url_setting, file_setting=file_setting) from failure
    except SecurityError as failure:
        # The error that a store raises when Redis does not answer is written for clients, who can only try again.
        cause = failure.__cause__
        if not isinstance(cause, RedisError):
            raise
        raise explain_redis_failure(cause, url=url, url_setting=url_setting, file_setting=file_setting) from failure


def _explain(failure: Exception, url_setting: str, password_setting: str) -> tuple[str, str]:
    acl_hint = "use the ACL file that `security-common setup` writes, with the user it has for this service"
    match failure:
        case AuthenticationError():
            return (
                "does not accept the user or the password",
                f"check the user name in {url_setting} and the password in {password_setting}",
            )
        case NoPermissionError():
            return f"does not permit this: {_answer(failure)}", acl_hint
        case BusyLoadingError():
            return "is loading its data", "try again when it has finished"
        case ReadOnlyError():
            return "is a read-only replica", f"name the primary in {url_setting}"
        case OutOfMemoryError():
            return "is full: it refuses writes", "raise maxmemory, or delete what is not needed"
        case RedisTimeoutError() | TimeoutError():
            return (
                "does not respond in time",
                f"check whether it is overloaded or suspended, and whether {url_setting} is correct",
            )
        case ResponseError() if "NOAUTH" in str(failure) or "WRONGPASS" in str(failure):
            return (
                "requires a user and a password",
                f"name the user in {url_setting} and the password file in {password_setting}",
            )
        case ResponseError():
            return f"refuses a command: {_answer(failure)}", "`doctor` checks the server's version and its settings"
        case RedisError() | OSError():
            return "cannot be reached", f"start Redis, or correct {url_setting}"
        case _:
            return "cannot be used", f"check {url_setting}"


def _answer(failure: Exception) -> str:
    """The server's error message, which contains commands and keys but no values."""
    return str(failure)[:_MAX_ANSWER_CHARACTERS]


def _address(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="").geturl() if parts.scheme else "an address without a scheme"
