"""Archives of spectra: the axis is found by its length, nothing is loaded that is not asked for."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.errors import FormatError, InputError, ShapeError, TruncatedError
from parscope.io import open_spectra

FREQUENCY = np.linspace(300e3, 379e3, 80)


def noise(*shape: int) -> NDArray[Any]:
    rng = np.random.default_rng(1)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["c8", "c16", ">c8", "f4", "<i2"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 2)])
def test_spectra_of_any_rank_and_type(tmp_path: Path, save: Any, dtype: str, shape: tuple[int, ...]) -> None:
    spectra = (100 * noise(*shape, 80)).real.astype(dtype) if dtype[-2] in "fi" else noise(*shape, 80).astype(dtype)
    save(tmp_path / "a.npz", frequency=FREQUENCY, spectra=spectra)
    opened = open_spectra(tmp_path / "a.npz")
    assert (opened.navigation_shape, opened.axis.name, opened.axis.unit) == (shape, "frequency", "Hz")
    assert opened.data.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(opened.data[...], spectra)
    for key in ((slice(1, None),), (slice(None, None, -1),), (-1, ..., slice(3, 9)))[: 3 * bool(shape)]:
        np.testing.assert_array_equal(opened.data[key], spectra[key])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(opened.data))[...], spectra)


def test_another_axis_than_frequency(tmp_path: Path) -> None:
    loop = 8 * np.sin(np.linspace(0, 2 * np.pi, 64))
    np.savez(tmp_path / "a.npz", bias=loop, response=np.zeros((5, 64)), temperature=300.0, note="film 7")
    spectra = open_spectra(tmp_path / "a.npz")
    assert (spectra.axis.name, spectra.axis.unit) == ("bias", "V")
    np.testing.assert_array_equal(spectra.axis.values, loop)


def refusal(kind: type[InputError], words: str, path: Path, **options: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        open_spectra(path, **options)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, image=np.zeros((7, 9)))
    refusal(FormatError, r"no axis of \(9,\) real numbers, for image.*savez", path)
    np.savez(path, frequency=FREQUENCY)
    refusal(FormatError, r"no array 'spectra'; it holds frequency \(80,\)", path)
    np.savez(path, frequency=FREQUENCY, first=noise(3, 80), second=noise(3, 80))
    refusal(FormatError, r"several arrays: frequency \(80,\), first \(3, 80\), second.*--dataset", path)
    refusal(FormatError, "no array 'third'", path, dataset="third")
    np.testing.assert_array_equal(open_spectra(path, dataset="second").data[1], noise(3, 80)[1])
    np.savez(path, shift=FREQUENCY, weights=FREQUENCY, spectra=noise(3, 80))
    refusal(FormatError, "several axes: shift, weights", path)
    np.savez(path, frequency=np.full(80, np.nan), spectra=noise(3, 80))
    refusal(ShapeError, "finite", path)
    np.savez(path, frequency=FREQUENCY, spectra=np.asfortranarray(noise(3, 80)))
    refusal(FormatError, "Fortran order.*ascontiguousarray", path)


def test_an_archive_that_is_damaged(tmp_path: Path) -> None:
    spectra = noise(40, 80)
    np.savez(tmp_path / "a.npz", frequency=FREQUENCY, spectra=spectra)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:20_000])
    refusal(FormatError, "no format of spectra", tmp_path / "cut.npz")
    opened = open_spectra(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(content[:20_000])
    with pytest.raises(TruncatedError):
        opened.data[:]
    np.savez_compressed(tmp_path / "b.npz", frequency=FREQUENCY, spectra=spectra)
    with zipfile.ZipFile(tmp_path / "b.npz") as archive:
        info = archive.getinfo("spectra.npy")
    spoiled = bytearray((tmp_path / "b.npz").read_bytes())
    place = info.header_offset + info.compress_size // 2
    spoiled[place : place + 40] = b"\xff" * 40
    (tmp_path / "b.npz").write_bytes(spoiled)
    refusal(FormatError, r"b\.npz:spectra: is damaged", tmp_path / "b.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["frequency", "spectra"])
def test_one_wrong_bit_is_found_by_the_check_sum(tmp_path: Path, save: Any, name: str) -> None:
    path = tmp_path / "a.npz"
    save(path, frequency=FREQUENCY, spectra=noise(40, 80))
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
    content = bytearray(path.read_bytes())
    content[info.header_offset + info.compress_size - 50] ^= 4
    path.write_bytes(content)
    refusal(FormatError, r"a\.npz:spectra: is damaged|a\.npz: holds no axis", path)
