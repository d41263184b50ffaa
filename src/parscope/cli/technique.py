"""Verbs that are given a technique: its own options stand beside those of the verb."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from typer.core import TyperCommand

from parscope.core.errors import OptionError

_OPTIONS = "parscope.technique"


def options_of_technique(context: Any) -> dict[str, Any]:
    """What was set of the technique.

    Parameters
    ----------
    context : typer.Context
        Of a `TechniqueCommand`.

    Returns
    -------
    dict
        Values, by the names of the fields.
    """
    taken: dict[str, Any] = context.meta[_OPTIONS]
    return taken


class TechniqueCommand(TyperCommand):
    """A command with a technique among its words, which brings options: ``--temperature 320`` is one of its fields."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options of the technique out, and leave the rest to the verb."""
        from parscope.workflows.technique import find, settable, techniques

        technique = next((a for a in [ctx.info_name, *args] if a.replace("_", "-") in techniques()), None)
        known = {} if technique is None else settable(find(technique))
        own = {option for parameter in self.params for option in parameter.opts}
        kinds = {f"--{name.replace('_', '-')}": kind for name, kind in known.items()}
        self.epilog = _listing(technique, {name: kind for name, kind in kinds.items() if name not in own})
        rest, taken, words = [], {}, iter(args)
        for word in words:
            name, equals, value = word.partition("=")
            if name in own or name not in kinds:
                rest.append(word)
                continue
            if not equals:
                value = "true" if kinds[name] is bool else next(words, "")
            taken[name[2:].replace("-", "_")] = read(value, kinds[name], name)
        ctx.meta[_OPTIONS] = taken
        return super().parse_args(ctx, rest)


def read(text: str, kind: Any, option: str) -> Any:
    """Value of an option of a technique.

    Parameters
    ----------
    text : str
        As it was typed: ``3.5``, ``voigt``, ``true``, ``1:2`` for a range, ``1:2,3:4`` for several.
    kind : type
        What the technique wants.
    option : str
        Its name.

    Returns
    -------
    object

    Raises
    ------
    OptionError
        If it is not what the technique wants.

    Examples
    --------
    >>> read("515:526,300:310", tuple[tuple[float, float], ...], "--ranges")
    ((515.0, 526.0), (300.0, 310.0))
    """
    failed: Exception | None = None
    for choice in _choices(kind):
        try:
            return _value(text, choice)
        except (ValueError, TypeError) as error:
            failed = error
    raise OptionError(f"cannot be {text!r}", option, f"write {describe(kind)}") from failed


def describe(kind: Any) -> str:
    """How a value of a type is written.

    Parameters
    ----------
    kind : type
        What a technique wants.

    Returns
    -------
    str

    Examples
    --------
    >>> describe(tuple[float, float] | None), describe(Literal["lorentz", "voigt"])
    ('LOW:HIGH', 'lorentz|voigt')
    """
    words = []
    for choice in _choices(kind):
        if get_origin(choice) is Literal:
            words += [str(word) for word in get_args(choice)]
        elif get_origin(choice) is tuple:
            words.append("LOW:HIGH" if get_args(choice)[0] is float else "LOW:HIGH,LOW:HIGH,...")
        else:
            words.append({float: "NUMBER", int: "WHOLE NUMBER", bool: "true|false"}.get(choice, "TEXT"))
    return "|".join(words)


def _choices(kind: Any) -> Iterator[Any]:
    """The types that are meant by one, without None."""
    if get_origin(kind) in (Union, UnionType):
        yield from (choice for choice in get_args(kind) if choice is not type(None))
    else:
        yield kind


def _value(text: str, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return get_args(kind)[[str(word) for word in get_args(kind)].index(text)]
    if get_origin(kind) is tuple and get_args(kind)[0] is float:
        low, high = text.split(":")
        return float(low), float(high)
    if get_origin(kind) is tuple:
        return tuple(_value(part, get_args(kind)[0]) for part in text.split(","))
    if kind is bool:
        return ("false", "true").index(text.lower()) == 1
    return kind(text)


def _listing(technique: str | None, kinds: dict[str, Any]) -> str:
    """Last lines of the help: techniques, or the options of the one that was named."""
    from parscope.workflows.technique import techniques

    if technique is None:
        return f"Techniques: {', '.join(techniques())}. Name one before --help to see its own options."
    options = ", ".join(name if kind is bool else f"{name} {describe(kind)}" for name, kind in kinds.items())
    return f"Options of {technique}: {options or 'none'}."
