"""Failures a user can act on. The command line prints one line for these and a traceback for the rest."""


class InvtoolError(Exception):
    """A run that cannot succeed: bad data, a missing layer, a full disk."""

    exit_code = 1


class UsageError(InvtoolError):
    """A command line that cannot mean anything, or that would destroy something."""

    exit_code = 2
