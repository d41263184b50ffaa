"""The one error of this package."""

from __future__ import annotations

from parscope.core.errors import InputError


class MessageError(InputError):
    """A message of a detector cannot be read: cut short, corrupt, or of a form that is not known."""
