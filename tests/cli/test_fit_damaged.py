"""Files cut short or with a wrong bit, through the command: fitted, or refused in one line; never a traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.axes import Axis
from parscope.io.usid_write import write_spectra
from parscope.techniques.band_excitation import BandExcitation

FREQUENCY = np.linspace(280e3, 359e3, 80)
SIGNALS = BandExcitation(FREQUENCY).render(np.tile([322e3, 120.0, 0.0, 0.2], (6, 1)))
SIGNALS = (SIGNALS + np.random.default_rng(1).normal(size=(6, 80, 2)).view(complex)[..., 0]).reshape(2, 3, 80)
AXES = (Axis("y", 2, "nm", 1.0), Axis("x", 3, "nm", 1.0), Axis.from_values("frequency", FREQUENCY, "Hz"))
REAL = [
    "BEPS_PTO_50x50.h5",
    "Bias-Spectroscopy041.dat",
    "P0089OP0027.ibw",
    "SingFreqPFM_0003.h5",
    "bfo_iv_final.hf5",
]
OWN = ["scan.npz", "packed.npz", "scan.h5"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("scan.npz", frequency=FREQUENCY, spectra=SIGNALS)
    np.savez_compressed("packed.npz", frequency=FREQUENCY, spectra=SIGNALS)
    write_spectra("scan.h5", [SIGNALS], AXES)


@pytest.mark.parametrize("name", [*OWN, *REAL])
def test_a_damaged_file_is_fitted_or_refused_in_one_line(name: str, request: pytest.FixtureRequest) -> None:
    folder = Path() if name in OWN else request.getfixturevalue("sample_files") / "spectroscopy"
    whole, rng = (folder / name).read_bytes(), np.random.default_rng(9)
    damaged = [whole[: int(share * len(whole))] for share in (0.0, 0.001, 0.3, 0.999)]
    for place in rng.integers(0, [min(len(whole), 6000), len(whole)] * 6):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    path = Path(f"damaged{Path(name).suffix}")
    before = {*Path().iterdir(), path}
    for content in damaged:
        path.write_bytes(content)
        answer = CliRunner().invoke(app, ["fit", "be-sho", str(path), "-o", "maps.nc", "--overwrite", "--no-report"])
        assert answer.exit_code == (2 if not Path("maps.nc").exists() else 0), answer.output
        assert len(answer.stderr.splitlines()) == answer.exit_code / 2, answer.stderr
        Path("maps.nc").unlink(missing_ok=True)
        assert {*Path().iterdir()} == before
