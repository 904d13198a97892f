"""What ends a command in one clear line without a traceback: bad input (exit status 2), a failing disk (74)."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Iterator

from hdream_core.balancers import BalancerError
from hdream_core.checkpoint import CheckpointError
from hdream_core.config import ConfigError
from hdream_core.envs import UnknownTaskError
from hdream_core.envs.opengl import RenderingError
from hdream_core.minari_layout import DatasetError
from hdream_core.processes import BusyError
from hdream_core.store import StoreError
from hdream_core.trainer import DivergedError

USER_ERRORS = (
    BalancerError,
    CheckpointError,
    ConfigError,
    DatasetError,
    DivergedError,
    RenderingError,
    StoreError,
    UnknownTaskError,
)

# Exit statuses, the latter two as sysexits has them (EX_IOERR, EX_TEMPFAIL): after a failing disk another try may go
# well; a run that saved itself when told to stop, or that another process is at, is all right.
BAD_INPUT, IO_ERROR, STOPPED = 2, 74, 75
# Errors of the system that another try would meet again; a full disk or a share that does not answer is none of them.
LASTING = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}


@contextlib.contextmanager
def exit_on_user_error(
    *more: type[Exception], interrupted: str = "the same command goes on from here"
) -> Iterator[None]:
    """Turns the errors that a user can mend into one line on standard error and an exit status.

    Args:
        more: errors of this command's own.
        interrupted: what to say after Ctrl-C.
    """
    try:
        yield
    except (*USER_ERRORS, *more) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(STOPPED if isinstance(error, BusyError) else BAD_INPUT)
    except OSError as error:  # full disk, no permission, a file where a folder should be
        said = f"{error.filename or 'input or output'}: {error.strerror or error}"
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
        sys.exit(BAD_INPUT if error.errno in LASTING else IO_ERROR)
    except KeyboardInterrupt:
        print(f"\nstopped; {interrupted}", file=sys.stderr)
        sys.exit(130)
