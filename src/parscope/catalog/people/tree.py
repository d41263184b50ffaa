"""A document as lines that a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LONGEST, _MOST = 160, 12


def printable(text: str) -> str:
    r"""Write characters that a terminal would obey, or not show, as escapes.

    Parameters
    ----------
    text : str
        Anything that a file may say of itself.

    Returns
    -------
    str

    Examples
    --------
    >>> print(printable("red \x1b[31m alert"))
    red \x1b[31m alert
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def leaf(value: Any) -> str | None:
    """One value in a few words; None for what needs lines of its own.

    Parameters
    ----------
    value : object
        A value of a document.

    Returns
    -------
    str or None

    Examples
    --------
    >>> leaf({"value": 200.0, "units": "kV"})
    '200.0 kV'
    >>> leaf([256, 256])
    '256, 256'
    """
    if isinstance(value, Mapping):
        unit = value.get("units", value.get("unit"))
        if len(value) == 2 and isinstance(unit, str) and isinstance(value.get("value"), int | float):
            return f"{value['value']!r} {printable(unit)}"
        return None if value else "{}"
    if isinstance(value, str):
        return _short(printable(value))
    if isinstance(value, Sequence):
        return _listed(value)
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def lines(document: Mapping[str, Any], folded: Sequence[str] = ()) -> Iterator[str]:
    r"""Draw a document as an indented tree.

    Parameters
    ----------
    document : mapping
        Nested mappings and lists.
    folded : sequence of str
        Keys at the top of which only the number of values is told.

    Yields
    ------
    str
        Lines.

    Examples
    --------
    >>> beam = {"voltage": {"value": 200.0, "units": "kV"}}
    >>> print("\n".join(lines({"kind": "image", "beam": beam, "vendor": {"a": 1, "b": 2}}, ["vendor"])))
    kind    image
    beam
      voltage  200.0 kV
    vendor  2 values
    """
    signals = _signals(document.get("signals"))
    if signals:
        document = {**document, "signals": signals}
    for key, value in document.items():
        if key in folded and isinstance(value, Mapping):
            number = _count(value)
            document = {**document, key: f"{number} value{'' if number == 1 else 's'}"}
    yield from _branch(document, "")


def _signals(told: Any) -> dict[str, str]:
    """Signals of a file, a line each: shape, type, unit, steps of the axes; nothing if they are of another form."""
    found: dict[str, str] = {}
    for number, signal in enumerate(told if isinstance(told, list) else ()):
        if not isinstance(signal, Mapping) or not isinstance(signal.get("shape"), list):
            return {}
        name, unit = str(signal.get("name")), signal.get("unit")
        words = [" × ".join(map(str, signal["shape"])), str(signal.get("dtype")), "" if unit == "1" else str(unit)]
        steps = [_step(axis) for axis in signal.get("axes", ()) if isinstance(axis, Mapping) and "scale" in axis]
        line = " ".join(word for word in words if word) + (f"  ({', '.join(steps)})" if steps else "")
        found[name if name not in found else f"{name} [{number}]"] = line
    return found


def _step(axis: Mapping[str, Any]) -> str:
    """An axis in a few words."""
    scale = axis["scale"]
    return (
        f"{axis.get('name')} {scale:.6g} {axis.get('unit')}"
        if isinstance(scale, int | float)
        else str(axis.get("name"))
    )


def _branch(node: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Lines of one mapping, its values in one column."""
    told = {printable(str(key)): (leaf(value), value) for key, value in node.items()}
    width = max((len(key) for key, (text, _) in told.items() if text is not None and len(key) <= 24), default=0)
    for key, (text, value) in told.items():
        yield f"{indent}{key}" if text is None else f"{indent}{key:<{width}}  {text}"
        if text is None:
            below = value if isinstance(value, Mapping) else {f"[{i}]": part for i, part in enumerate(value)}
            yield from _branch(below, indent + "  ")


def _listed(values: Sequence[Any]) -> str | None:
    """A list of plain values in one line; None if there are others in it."""
    if any(
        isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)) for value in values
    ):
        return None
    shown = ", ".join(leaf(value) or "" for value in values[:_MOST])
    return f"{shown}, … ({len(values)} values)" if len(values) > _MOST else shown or "[]"


def _short(text: str) -> str:
    """Not more than a line."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _count(node: Any) -> int:
    """Number of values below a node."""
    if isinstance(node, Mapping):
        return sum(_count(value) for value in node.values())
    if isinstance(node, Sequence) and not isinstance(node, str):
        return sum(_count(value) for value in node)
    return 1
