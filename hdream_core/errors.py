"""Bad input: one clear line and exit status 2, no traceback."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from hdream_core.balancers import BalancerError
from hdream_core.checkpoint import CheckpointError
from hdream_core.config import ConfigError
from hdream_core.envs import UnknownTaskError
from hdream_core.envs.opengl import RenderingError
from hdream_core.minari_layout import DatasetError
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


@contextlib.contextmanager
def exit_on_user_error(
    *more: type[Exception], interrupted: str = "the same command goes on from here"
) -> Iterator[None]:
    """Turns the errors that a user can mend into one line on standard error and exit status 2.

    Args:
        more: errors of this command's own.
        interrupted: what to say after Ctrl-C.
    """
    try:
        yield
    except (*USER_ERRORS, *more) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # full disk, no permission, a file where a folder should be
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\nstopped; {interrupted}", file=sys.stderr)
        sys.exit(130)
