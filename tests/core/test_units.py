"""Units of files and of techniques differ by decimal prefixes at most, or not at all."""

from __future__ import annotations

import pytest

from parscope.core.units import conversion


@pytest.mark.parametrize(
    ("unit", "wanted", "factor"),
    [
        ("Hz", "Hz", 1.0),
        ("MHz", "Hz", 1e6),
        ("ms", "s", 1e-3),
        ("mV", "V", 1e-3),
        ("m", "mm", 1e3),
        ("nm^-1", "1/nm", 1.0),
        ("1/nm", "1/cm", 1e7),
        ("$(V/m)^{0.5}$", "(V/m)^0.5", 1.0),
        ("(kV/m)^0.5", "(V/m)^0.5", 1e3**0.5),
        ("MV/m", "V/nm", 1e-3),
        ("1", "1", 1.0),
        ("bins", "bins", 1.0),
    ],
)
def test_prefixes_are_converted(unit: str, wanted: str, factor: float) -> None:
    assert conversion(unit, wanted) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(("unit", "wanted"), [("V", "Hz"), ("px", "Hz"), ("", "V"), ("1/m", "m"), ("V/m/s", "V/m")])
def test_what_is_another_quantity_is_not(unit: str, wanted: str) -> None:
    assert conversion(unit, wanted) is None
