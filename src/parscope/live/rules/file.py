"""Rules and limits in a file, and all that is needed to act by them in one call."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parscope.core.errors import InputError, OptionError
from parscope.live.kernels.contract import Output
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.journal import Journal
from parscope.live.rules.limits import Limits
from parscope.live.rules.rule import Rule
from parscope.live.rules.text import parse
from parscope.live.sinks.address import make_sink

_KEYS = {"rules", "limits"}
_LIMITS = {"per_second", "per_scan", "between", "only_while"}


@dataclass(frozen=True)
class RuleSet:
    """Rules, and the limits of their sinks.

    Parameters
    ----------
    rules : tuple of Rule
        In the order in which they are tried.
    limits : mapping of str to Limits
        By address; under ``""`` for those that are not named.
    """

    rules: tuple[Rule, ...]
    limits: Mapping[str, Limits] = field(default_factory=dict)

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> RuleSet:
        """Read rules as they are typed, with the usual limits.

        Parameters
        ----------
        texts : sequence of str
            One rule each.

        Returns
        -------
        RuleSet

        Raises
        ------
        OptionError
            For a rule that cannot be understood.
        MissingExtraError
            If the library that reads rules is not installed.
        """
        return cls(tuple(parse(text) for text in texts))

    @classmethod
    def of_file(cls, path: Path) -> RuleSet:
        """Read a file of rules (TOML).

        Parameters
        ----------
        path : Path
            With ``rules``, a list of texts, and tables ``[limits."ADDRESS"]`` with the fields of `Limits`;
            ``[limits.default]`` is for addresses that are not named.

        Returns
        -------
        RuleSet

        Raises
        ------
        InputError
            If the file cannot be read, or is none of rules.
        OptionError
            For a rule or limits that cannot be understood.
        MissingExtraError
            If the library that reads rules is not installed.
        """
        told = _toml(path)
        texts, limits = told.get("rules"), told.get("limits", {})
        right = isinstance(texts, list) and all(isinstance(text, str) for text in texts) and isinstance(limits, dict)
        if not right or not isinstance(texts, list) or set(told) - _KEYS:
            raise InputError("is no file of rules", str(path), 'write rules = ["when ..."] and [limits."ADDRESS"]')
        named = {"" if address == "default" else address: _limits(address, one) for address, one in limits.items()}
        return cls(tuple(parse(text) for text in texts), named)


def act(
    rules: RuleSet,
    outputs: Sequence[Output],
    journal: Path | None = None,
    dry: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Actuator:
    """Make an actuator with its sinks open, not armed yet.

    Parameters
    ----------
    rules : RuleSet
        What to act by.
    outputs : sequence of Output
        What the analysis gives, in the order of the numbers.
    journal : Path, optional
        File for the journal of decisions; no journal if omitted.
    dry : bool, default False
        Whether only to note what would be done.
    tell : callable, optional
        Is told, in a sentence, what a person should know: messages that were lost, of any thread.

    Returns
    -------
    Actuator

    Raises
    ------
    OptionError
        For a rule that does not fit the outputs, and an address that is none.
    OutputError
        If a sink cannot be opened, or the journal not be written.
    InputError
        If settings cannot be read.
    MissingExtraError
        If a library is not installed that a sink needs.
    """
    decider = Decider(rules.rules, outputs, rules.limits, dry)
    sinks = {address: make_sink(address) for address in decider.addresses}
    actuator = Actuator(decider, sinks, None if journal is None else Journal(journal), tell=tell)
    try:
        actuator.open()
    except BaseException:
        actuator.close()
        raise
    return actuator


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", str(path)) from None
    except ValueError as error:
        raise InputError(f"cannot be read: {error}", str(path)) from None


def _limits(address: str, told: Any) -> Limits:
    """Limits of a table, whose types are those of `Limits`."""
    if not isinstance(told, dict) or set(told) - _LIMITS:
        raise OptionError("has no such limits", f"limits of {address}", f"there are {', '.join(sorted(_LIMITS))}")
    between = told.get("between", {})
    ranges = isinstance(between, dict) and all(_is_range(ends) for ends in between.values())
    counts = [told[name] for name in ("per_second", "per_scan") if name in told]
    whole = all(isinstance(count, int) and not isinstance(count, bool) for count in counts)
    if not ranges or not whole or not isinstance(told.get("only_while", ""), str):
        raise OptionError(
            "cannot be understood", f"limits of {address}", 'write per_second = 50, between = { "com.x" = [-4, 4] }'
        )
    return Limits(**{**told, "between": {name: (float(low), float(high)) for name, (low, high) in between.items()}})


def _is_range(ends: Any) -> bool:
    """Whether this is a pair of numbers."""
    return isinstance(ends, list) and len(ends) == 2 and all(type(end) in (int, float) for end in ends)
