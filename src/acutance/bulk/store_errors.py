"""What goes wrong with stores: what is tried again, and the sentence for what is not mended by that."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from acutance.errors import AcutanceError, InputError, OutputError

TRIES: Final = 6
_FIRST_WAIT_S: Final = 0.5

_HOPELESS = {
    errno.ENOSPC: "there is no room left; make room and go on with --resume",
    errno.EDQUOT: "the quota is used up; raise it and go on with --resume",
    errno.EROFS: "it is read-only; choose another place",
    errno.ENOENT: "there is no such place; check the address",
    errno.EACCES: "access is not allowed; check the credentials of the store",
    errno.EPERM: "access is not allowed; check the credentials of the store",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EISDIR: "it is a folder, not a file; choose another place",
    errno.ENAMETOOLONG: "the name is too long for that place; give it a shorter one",
}
"""What trying again does not mend."""
_NO_CREDENTIALS = ("NoCredentialsError", "NoAuthError", "DefaultCredentialsError", "ClientAuthenticationError")
"""Names of the errors of the stores' own libraries, which are not imported here."""

_Answer = TypeVar("_Answer")


class Unreachable(InputError):
    """A file cannot be had from its store; whether it is sound nobody knows."""


class Vanished(Unreachable):
    """A file that was listed, or named, is not there."""


def persistently(place: str, kind: type[Unreachable] | type[OutputError], ask: Callable[[], _Answer]) -> _Answer:
    """Ask a store, and again when it is busy or does not answer, with longer and longer pauses."""
    for number in range(TRIES):
        try:
            return ask()
        except Exception as error:
            if number + 1 == TRIES or not _may_pass(error):
                raise _sentence(place, kind, error) from error
        time.sleep(_FIRST_WAIT_S * 2**number * random.uniform(0.5, 1.0))
    raise AssertionError


@contextmanager
def told(place: str, kind: type[Unreachable] | type[OutputError]) -> Iterator[None]:
    """Let what a store's library raises become one sentence."""
    try:
        yield
    except (AcutanceError, MemoryError):
        raise
    except Exception as error:
        raise _sentence(place, kind, error) from error


def _may_pass(error: Exception) -> bool:
    """Say whether trying again may help."""
    if type(error).__name__ in _NO_CREDENTIALS or isinstance(
        error, (FileNotFoundError, PermissionError, ValueError, MemoryError, AcutanceError)
    ):
        return False
    return not (isinstance(error, OSError) and error.errno in _HOPELESS)


def _sentence(place: str, kind: type[Unreachable] | type[OutputError], error: Exception) -> AcutanceError:
    if type(error).__name__ in _NO_CREDENTIALS:
        return kind(
            f"{place}: the store was given no credentials; set them as its own tools want it (for S3: AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    if isinstance(error, FileNotFoundError) and kind is Unreachable:
        return Vanished(f"{place}: there is nothing of that name; check the address.")
    if isinstance(error, PermissionError):
        return kind(f"{place}: access is not allowed; check the credentials of the store.")
    number = errno.ENOENT if isinstance(error, FileNotFoundError) else getattr(error, "errno", None)
    if number in _HOPELESS:
        return kind(f"{place}: {_HOPELESS[number]}.")
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ValueError):
        return kind(f"{place}: the store cannot have such a name ({reason}); give it another.")
    return kind(f"{place}: the store does not answer as it should ({reason}); go on with --resume later.")
