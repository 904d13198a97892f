"""What ends a command in one clear line without a traceback: bad input (exit status 2), a failing disk (74)."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Iterator

# Exit statuses, the latter two as sysexits has them (EX_IOERR, EX_TEMPFAIL): after a failing disk another try may go
# well; a run that saved itself when told to stop, or that another process is at, is all right.
BAD_INPUT, IO_ERROR, STOPPED = 2, 74, 75
# Errors of the system that another try would meet again; a full disk or a share that does not answer is none of them.
LASTING = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}


class UserError(Exception):
    """What a user can mend; the message is one line that says what is wrong, where, and what would be right.

    Attributes:
        status: that a command ends with.
    """

    status = BAD_INPUT


class ConfigError(UserError, ValueError):
    """A setting is unknown or unusable; the message is one line for the user."""


@contextlib.contextmanager
def exit_on_user_error(interrupted: str = "the same command goes on from here") -> Iterator[None]:
    """Turns the errors that a user can mend into one line on standard error and an exit status.

    Args:
        interrupted: what to say after Ctrl-C.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.status)
    except OSError as error:  # full disk, no permission, a file where a folder should be
        said = f"{error.filename or 'input or output'}: {error.strerror or error}"
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
        sys.exit(BAD_INPUT if error.errno in LASTING else IO_ERROR)
    except KeyboardInterrupt:
        print(f"\nstopped; {interrupted}", file=sys.stderr)
        sys.exit(130)
