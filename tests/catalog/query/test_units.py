"""Numbers with units become SI, are found in texts, keys and mappings, and nothing else is taken for one."""

from __future__ import annotations

from math import inf, nan

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.catalog.query import lexicon, units
from parscope.catalog.query.units import LONGEST, in_mapping, in_text, of_key, scale, si


@pytest.mark.parametrize(
    ("unit", "dimension", "value"),
    [
        ("kV", "V", 1000.0),
        ("1/nm", "m^-1", 1e9),
        ("nm^-1", "m^-1", 1e9),
        ("cm-1", "m^-1", 100.0),
        ("cm⁻¹", "m^-1", 100.0),
        ("nm**2", "m^2", 1e-18),
        ("Å", "m", 1e-10),
        ("\N{ANGSTROM SIGN}", "m", 1e-10),
        ("A\N{COMBINING RING ABOVE}", "m", 1e-10),
        ("\N{MICRO SIGN}m", "m", 1e-6),
        ("\N{GREEK SMALL LETTER MU}m", "m", 1e-6),
        ("A^-1", "m^-1", 1e10),
        ("1/A", "m^-1", 1e10),
        ("V/A", "Ω", 1.0),
        ("kΩ", "Ω", 1000.0),
        ("e-/Å^2", "m^-2 s A", 16.02176634),
        ("e- / Å2", "m^-2 s A", 16.02176634),
        ("e/nm^2", "m^-2 s A", 0.1602176634),
        ("V/Hz^0.5", "m^2 kg s^-2.5 A^-1", 1.0),
        ("m s^-1", "m s^-1", 1.0),
        ("A·m²", "m^2 A", 1.0),
        ("mrad", "1", 0.001),
        ("%", "1", 0.01),
        ("counts/s", "Hz", 1.0),
        ("px", "px", 1.0),
        ("Pixels", "px", 1.0),
        ("Volts", "V", 1.0),
        ("Torr", "Pa", 133.322368421),
        ("°C", "K", 274.15),
        ("deg C", "K", 274.15),
        ("degC/min", "s^-1 K", 0.0166666666667),
        ("mT", "T", 0.001),
        ("G", "T", 1e-4),
        ("MB", "bit", 8e6),
        ("1", "1", 1.0),
    ],
)
def test_units_as_files_write_them(unit: str, dimension: str, value: float) -> None:
    assert si(1, unit) == (dimension, value)


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "OBJ",
        "HAADF",
        "a.u.",
        "au",
        "dB",
        "dBm",
        "m//s",
        "1/",
        "m^",
        "m^99",
        "m**1e9",
        "2**9**9**9",
        "nm_",
        "(m)",
        "m" * (LONGEST + 1),
        "m/" * 10_000,
        "\0",
        "\ud800",
        "__class__",
        "¼",
        "kV½",
        "\u0e33",
        "ﷺ",
        "a" + chr(0x2E2F),
        "m;n",
        "Qm^9 Qm^9 Qm^9 Qm^9 Qm^9",
    ],
)
def test_what_is_no_unit(word: str) -> None:
    assert si(1, word) is None


def test_what_no_float_holds_is_no_quantity() -> None:
    assert [si(10**400, "kV"), si(1e308, "kV"), si(nan, "V")] == [None, None, None]
    assert si(inf, "kV") == ("V", inf)
    assert str(si(-0.0, "kV")) == str(si(0.0, "kV"))


def test_the_table_agrees_with_pint() -> None:
    """Except where the field means something else: the units of magnets of the system of Gauss."""
    registry = pint.UnitRegistry()
    for word, (factor, powers, _) in lexicon._table().items():
        if word.lstrip("TGMkcmuµμnpf") not in ("", "G", "Oe"):
            base = registry.Quantity(1.0, word).to_base_units()
            theirs = {lexicon._SYMBOLS[name]: float(power) for name, power in base.unit_items()}
            theirs.pop("", None)
            assert (factor, dict(powers)) == (pytest.approx(base.magnitude, rel=1e-12), theirs), word


@given(
    st.floats(1e-200, 1e20) | st.floats(-1e20, -1e-200),
    st.sampled_from(["V", "m", "eV", "Hz", "K/s"]),
    st.sampled_from(["", "k", "n", "M"]),
)
def test_a_prefix_changes_no_quantity(value: float, unit: str, prefix: str) -> None:
    plain = si(float(f"{value:.9g}"), unit)
    scaled = si(float(f"{value:.9g}") / 10.0 ** {"": 0, "k": 3, "n": -9, "M": 6}[prefix], prefix + unit)
    assert plain == scaled


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("300 kV", ("V", 300_000.0)),
        ("300kV", ("V", 300_000.0)),
        ("-3.5e-9 m", ("m", -3.5e-9)),
        ("−3.5e-9m", ("m", -3.5e-9)),
        (".5 1/nm", ("m^-1", 5e8)),
        ("5e-/Å2", ("m^-2 s A", 80.1088317)),
        ("300", None),
        ("kV", None),
        ("1/nm", None),
        ("4D-STEM", None),
        ("3 nm x 4 nm", None),
        ("300 files", None),
        ("3 1", None),
        ("2024-03-05", None),
        ("1e5", None),
        ("", None),
        ("٣ m", None),
        ("1e999 V", ("V", inf)),
        ("1" * 100_000 + " m", None),
        ("1" * 100_000, None),
    ],
)
def test_quantities_in_texts(text: str, found: tuple[str, float] | None) -> None:
    assert in_text(text) == found


def test_units_of_keys() -> None:
    keys = [
        "Cs(mm)",
        "dwell [us]",
        "Active Size (pixels)",
        "Aperture[OBJ]",
        "(mm)",
        "C3 lens_%",
        "mode",
        "x (mm) y",
        ")",
    ]
    assert [of_key(key) for key in keys] == ["mm", "us", "pixels", None, None, None, None, None, None]


def test_quantities_in_mappings() -> None:
    assert in_mapping({"value": 300, "units": "kV"}) == in_mapping({"unit": "V", "value": 3e5}) == ("V", 3e5)
    for odd in ({"value": True, "units": "kV"}, {"value": "300", "units": "kV"}, {"value": 300, "units": 3}, {}):
        assert in_mapping(odd) is None


def test_a_unit_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scale.cache_clear()
    assert si(1, "mV")
    monkeypatch.setattr(units, "_factors", None)
    assert si(2, "mV") == ("V", 0.002)
