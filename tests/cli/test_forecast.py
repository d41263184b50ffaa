"""The verb `forecast`: possible errors, and what a wanted one takes."""

from __future__ import annotations

import pytest
from click.testing import Result
from typer.testing import CliRunner

import parscope
from parscope.cli.main import app


def forecast(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["forecast", *arguments])


def test_errors_are_a_table_and_wishes_a_line_each() -> None:
    answer = forecast("be-sho", "--snr", "5", "--bins", "80", "--want", "quality=5%,resonance=50")
    assert (answer.exit_code, answer.stderr) == (0, "")
    told = parscope.forecast("be-sho", 5.0, bins=80)
    words = next(line for line in answer.stdout.splitlines() if line.startswith("quality")).split()
    assert words[:4] == ["quality", f"{told.value[1]:.6g}", f"{told.std[1]:.3g}", "1"]
    times = (told.std[0] / 50) ** 2
    assert f"resonance to 50: SNR {told.needed('resonance', 50):.3g}, {times:.3g} times the dwell" in answer.stdout
    assert "quality to 3.57" in answer.stdout
    assert "detection gate" not in answer.stdout


def test_below_the_gate_it_says_so() -> None:
    assert "below the detection gate" in forecast("be-sho", "--snr", "2").stdout


def test_parameters_axis_and_options_of_the_technique_can_be_given() -> None:
    answer = forecast("be-sho", "--axis", "300e3:340e3", "--at", "resonance=320e3,quality=150", "--background")
    rows = {line.split()[0]: line.split()[1:] for line in answer.stdout.splitlines() if line}
    assert (rows["resonance"][0], rows["quality"][0]) == ("320000", "150")
    assert "background_re" in rows


@pytest.mark.parametrize(
    "arguments",
    [
        ("be-shoe",),
        ("be-sho", "--snr", "0"),
        ("be-sho", "--axis", "3"),
        ("be-sho", "--at", "quality"),
        ("be-sho", "--at", "quality=5%"),
        ("be-sho", "--want", "quality=5Hz"),
        ("be-sho", "--want", "phase=5%"),
        ("be-sho", "--want", "q=5"),
        ("be-sho", "--want", "q=5%"),
        ("be-sho", "--quality-range", "5:2"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(arguments: tuple[str, ...]) -> None:
    answer = forecast(*arguments)
    assert answer.exit_code == 2, answer.output
    assert len(answer.stderr.strip().splitlines()) == 1
    assert answer.stdout == ""
