"""Runs a command-line program: it ends with a result, or with one `error:` and one `hint:` line.

    exit status   0  done                    130  interrupted (Ctrl-C)
                  1  failed                  141  the reader of a pipe has closed it (`| head`)
                  2  wrong usage

Both lines go to stderr. A traceback is never shown, except with PYTHONDEVMODE=1.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError
from redis.exceptions import RedisError

from security_common.errors import SecurityError
from security_common.messages import is_korean, translate_message
from security_common.redis_errors import explain_redis_failure

__all__ = ["run_command_line", "use_language_of_locale"]

FAILED, WRONG_USAGE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141

_OS_HINTS = {
    errno.EACCES: "check the owner and the mode of the file and of the folders above it",
    errno.EPERM: "check the owner and the mode of the file and of the folders above it",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path: a part of it is a file, not a folder",
    errno.EISDIR: "name a file, not a folder",
    errno.EEXIST: "choose another name, or remove what is there",
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space on that disk",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`)",
    errno.EADDRINUSE: "stop the program that listens there, or choose another port",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
}


def run_command_line(
    load: Callable[[], App],
    arguments: Sequence[str] | None = None,
    *,
    failure_status: int = FAILED,
    catalogues: Sequence[str] = (),
) -> None:
    """Runs the command in the arguments, by default those of the process. Raises `SystemExit` on failure.

    `load` returns the application. It is called here so that Ctrl-C during the imports prints no traceback either.
    `failure_status` is the exit status of a command that fails, for programs whose status 1 is a result, as with grep.
    `catalogues` are packages with translations of their messages, see `security_common.messages`.
    """
    program = ""
    packages = (*catalogues, "security_common")
    try:
        app = load()
        program = app.name[0]
        use_language_of_locale(app, packages)
        status = _run(app, sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        _discard_unwritable_output()
        status = PIPE_CLOSED
    except Exception as failure:
        if sys.flags.dev_mode:
            raise
        status = WRONG_USAGE if isinstance(failure, CycloptsError) else failure_status
        _discard_unwritable_output()
        problem, hint = (translate_message(text, packages, os.environ) for text in _describe(failure, program))
        print(f"error: {problem}\nhint: {hint}", file=sys.stderr)
    if status:
        sys.exit(status)


def use_language_of_locale(app: App, packages: Sequence[str]) -> None:
    """Makes `--help` Korean under a Korean locale, with the translations of these packages."""
    if is_korean(os.environ):
        from security_common.cli.translated_help import TranslatedHelp  # noqa: PLC0415 - imports rich, which is slow

        app.help_formatter = TranslatedHelp(packages)


def _run(app: App, arguments: Sequence[str]) -> int:
    try:
        app(arguments, print_error=False, exit_on_error=False)
    except SystemExit as end:
        if end.code is None:
            return 0
        return end.code if isinstance(end.code, int) else FAILED
    return 0


def _describe(failure: Exception, program: str) -> tuple[str, str]:
    match failure:
        case ExceptionGroup(exceptions=(Exception() as only,)):  # a task group around the failure adds no information
            return _describe(only, program)
        case SecurityError():
            return failure.description, failure.hint or "docs/configuration.md describes every setting"
        case CycloptsError():
            command = " ".join([program, *(failure.command_chain or ())])
            return " ".join(str(failure).split()), f"`{command} --help` shows how it is used"
        case RedisError():
            explained = explain_redis_failure(failure, url="redis:")
            return explained.description, explained.hint
        case EOFError():
            return "the input ended before everything was read", "run it on a terminal, or pipe all of the input in"
        case OSError():
            return _describe_os_error(failure)
        case _:
            return _describe_bug(failure)


def _describe_os_error(failure: OSError) -> tuple[str, str]:
    reason = failure.strerror or type(failure).__name__
    problem = f"{failure.filename}: {reason}" if failure.filename else reason
    return problem, _OS_HINTS.get(failure.errno or 0, "check the file, the disk or the network address it names")


def _describe_bug(failure: Exception) -> tuple[str, str]:
    """Without the message of the exception, which can contain any data."""
    place = traceback.extract_tb(failure.__traceback__)[-1]
    where = f"{type(failure).__name__} in {os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a text
    return f"internal error: {where}", "please report it; PYTHONDEVMODE=1 shows the traceback"


def _discard_unwritable_output() -> None:
    """Discards output that cannot be written: otherwise the interpreter reports the failure again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
