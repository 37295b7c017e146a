"""The error a user can act on.

Everything that is the user's to fix (a missing file, a wrong column, a damaged adapter) is a
`UserError`: its message gives the problem, its cause and the remedy in a sentence or two. The
command line prints it on standard error without a traceback and exits with code 2.
"""

from __future__ import annotations


class UserError(ValueError):
    """A problem that the user can solve; the message says how."""


class NoRoom(UserError):
    """A model that a device's memory doesn't hold; another device's may."""


def first_line(error: Exception) -> str:
    """What another library's error says first, to stand in a sentence; its kind where it says
    nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
