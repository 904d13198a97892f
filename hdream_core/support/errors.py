"""Errors that end a command in one clear line without a traceback: bad input (exit status 2), a failing disk (74)."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

# Exit statuses; the last two are EX_IOERR and EX_TEMPFAIL of sysexits. After an I/O error a retry may succeed. STOPPED
# is not a failure: the run saved itself when asked to stop, or another process is working on it.
BAD_INPUT, IO_ERROR, STOPPED = 2, 74, 75
# Errors of the system that a retry would meet again, unlike a full disk or a network share that does not answer.
PERMANENT = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}


class UserError(Exception):
    """Reports an error that the user can fix. Its message is one line: what is wrong, where, and what would be right.

    Attributes:
        status: exit status of the command that it ends.
    """

    status = BAD_INPUT


class ConfigError(UserError, ValueError):
    """Reports a setting that is unknown or unusable; the message is one line for the user."""


class Stopped(Exception):
    """Reports that a run was asked to stop and has saved itself."""


def in_a_line(error: Exception) -> str:
    """Returns an error's message in one line; adds its type if the message is not meant for users."""
    message = str(error) if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
    return " ".join(message.split())


@contextlib.contextmanager
def exit_on_user_error(interrupted: str = "the same command goes on from here") -> Iterator[None]:
    """Turns errors that the user can fix into one line on standard error and an exit status.

    Args:
        interrupted: message after Ctrl-C.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where errors are caught; as the interpreter ends they would not be
    except UserError as error:
        end(error.status, f"error: {' '.join(str(error).split())}")
    except BrokenPipeError:  # the reader of the output, such as `head`, has read enough
        end(128 + signal.SIGPIPE)
    except OSError as error:  # full disk, no permission, a file where a folder should be
        message = f"{error.filename or 'input or output'}: {error.strerror or error}"
        end(BAD_INPUT if error.errno in PERMANENT else IO_ERROR, f"error: {' '.join(message.split())}")
    except KeyboardInterrupt:
        end(130, f"\nstopped; {interrupted}")


def end(status: int, message: str = "") -> NoReturn:
    """Ends the command with a status and a line on standard error, also if nobody reads its output any more."""
    for stream, text in ((sys.stderr, message), (sys.stdout, "")):
        try:
            print(text, file=stream, end="\n" if text else "", flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # the interpreter flushes it once more
    sys.exit(status)
