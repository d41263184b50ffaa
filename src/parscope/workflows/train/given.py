"""What may be given to a training; refused before any work where it cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence

from parscope.core.errors import OptionError

# Seeds that every source of chance takes.
_SEEDS = 2**32


def check_given(teachers: Sequence[str], known: Sequence[str], minutes: float, seed: int) -> None:
    """Refuse teachers that there are not, and numbers that are none.

    Parameters
    ----------
    teachers, known : sequence of str
        Those that are asked for, and those that there are.
    minutes : float
        Time of the training, [min].
    seed : int
        Fixes what is drawn.

    Raises
    ------
    OptionError
        If there is no such teacher, time or seed.
    """
    wrong = [name for name in teachers if name not in known]
    if wrong or not teachers:
        raise OptionError(f"{', '.join(wrong) or 'nobody'} cannot teach", "--teacher", f"choose of {', '.join(known)}")
    if not minutes >= 0:
        raise OptionError(f"{minutes:g} is no time", "--minutes", "give 0 or more")
    if not 0 <= seed < _SEEDS:
        raise OptionError(f"{seed} is no seed", "--seed", f"give a whole number from 0 to {_SEEDS - 1}")
