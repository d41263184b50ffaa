"""USID files: grids of any order and rank unfold rightly, and only what is asked for is read."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import FormatError, InputError, OutputError, ShapeError, UnreadableError
from parscope.io import open_spectra, write_spectra

BIAS = [0.0, 3.0, 6.0, 3.0, 0.0, -3.0, -6.0]
AXES = (
    Axis("y", 5, "nm", 20.0),
    Axis("x", 4, "nm", 10.0),
    Axis("cycle", 2, "1"),
    Axis.from_values("bias", BIAS, "V"),
    Axis("field", 2, "1"),
    Axis("frequency", 6, "Hz", 500.0, 3e5),
)
SHAPE = tuple(axis.size for axis in AXES)
Make = Callable[..., Path]


@pytest.fixture
def data() -> NDArray[Any]:
    rng = np.random.default_rng(3)
    return (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)).astype(np.complex64)


@pytest.fixture
def written(tmp_path: Path, data: NDArray[Any]) -> Path:
    return write_spectra(tmp_path / "scan.h5", (data[:3], data[3:]), AXES, metadata={"operator": "Jesse"})


def side(file: h5py.File, main: h5py.Dataset, kind: str, columns: dict[str, Any], indices: dict[str, Any]) -> None:
    """Attach hand-made tables, a column for each dimension in the order given."""
    for name, table in (("Indices", indices), ("Values", columns)):
        lines = np.array(list(table.values()), np.uint32 if name == "Indices" else np.float32)
        made = file.create_dataset(f"{main.name}_{kind}_{name}", data=lines.T if kind == "Position" else lines)
        made.attrs["labels"] = list(columns)
        made.attrs["units"] = ["m" if label in "XY" else "V" for label in columns]
        main.attrs[f"{kind}_{name}"] = made.ref


def main_data(file: h5py.File, name: str, samples: NDArray[Any], axis: str = "Frequency") -> h5py.Dataset:
    """A main data set of 2 x 3 positions, X the fastest."""
    main = file.create_dataset(name, data=samples)
    main.attrs.update({"quantity": "Response", "units": "V"})
    y, x = (line.reshape(-1) for line in np.indices((2, 3)))
    side(file, main, "Position", {"X": x * 1e-9, "Y": y * 2e-9}, {"X": x, "Y": y})
    steps = np.arange(samples.shape[1])
    side(file, main, "Spectroscopic", {axis: steps * 10.0}, {axis: steps})
    return main


def test_what_was_written_is_read_back(written: Path, data: NDArray[Any]) -> None:
    spectra = open_spectra(written)
    # the spectrum is last, whatever changes fastest in the file
    assert [axis.name for axis in spectra.axes] == [axis.name for axis in AXES]
    for axis, told in zip(spectra.axes, AXES, strict=True):
        np.testing.assert_allclose(axis.values, told.values)
        assert axis.unit == told.unit
    assert (spectra.unit, spectra.data.dtype) == ("V", np.complex64)
    assert spectra.metadata["Measurement_000@operator"] == "Jesse"
    np.testing.assert_array_equal(spectra.data[:], data)


@pytest.mark.parametrize(
    "key",
    [
        (2,),
        (slice(1, 4), 2),
        (slice(None), slice(1, 3)),
        (-1, -1, 0, slice(2, 5), 1),
        (slice(None), 1, 1, 3, 0, slice(1, 4)),
        (slice(None, None, -2), slice(None), slice(0, 1)),
        (slice(3, 3),),
        (1, 2, 1, 3, 0, 5),
    ],
)
def test_any_part_is_that_part_of_the_whole(written: Path, data: NDArray[Any], key: tuple[Any, ...]) -> None:
    np.testing.assert_array_equal(open_spectra(written).data[key], data[key])


def test_an_open_data_set_travels_to_other_processes(written: Path, data: NDArray[Any]) -> None:
    lazy = open_spectra(written).data
    lazy[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy))[1], data[1])


def test_a_file_that_is_open_in_the_same_program(written: Path, data: NDArray[Any]) -> None:
    with h5py.File(written):
        spectra = open_spectra(written)
        np.testing.assert_array_equal(spectra.data[1], data[1])
        spectra.data.close()  # type: ignore[attr-defined]


def test_the_frequency_goes_last_where_it_is_not_the_fastest(tmp_path: Path) -> None:
    axes = (Axis("position", 3), Axis("frequency", 4, "Hz", 10.0), Axis("bias", 2, "V"))
    samples = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    spectra = open_spectra(write_spectra(tmp_path / "a.h5", [samples], axes))
    assert [axis.name for axis in spectra.axes] == ["position", "bias", "frequency"]
    np.testing.assert_array_equal(spectra.data[1:, 1], samples.transpose(0, 2, 1)[1:, 1])


def test_y_comes_before_x_whichever_is_the_fastest(tmp_path: Path) -> None:
    samples = np.arange(24.0).reshape(6, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        main = main_data(file, "main", samples)
        x, y = (line.reshape(-1) for line in np.indices((3, 2)))
        del file["main_Position_Indices"], file["main_Position_Values"]
        side(file, main, "Position", {"Y": y * 2e-9, "X": x * 1e-9}, {"Y": y, "X": x})
    spectra = open_spectra(tmp_path / "a.h5")
    assert [(axis.name, axis.size, axis.unit) for axis in spectra.axes[:2]] == [("y", 2, "nm"), ("x", 3, "nm")]
    assert spectra.axes[0].scale == pytest.approx(2.0)
    np.testing.assert_array_equal(spectra.data[:], samples.reshape(3, 2, 4).transpose(1, 0, 2))


@pytest.mark.parametrize("fault", ["serpentine", "gap"])
def test_positions_off_a_raster_stay_a_list(tmp_path: Path, fault: str) -> None:
    samples = np.arange(24.0).reshape(6, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        main_data(file, "main", samples)
        x = [0, 1, 2, 2, 1, 0] if fault == "serpentine" else [0, 1, 2, 0, 1, 3]
        file["main_Position_Indices"][:, 0] = x
    spectra = open_spectra(tmp_path / "a.h5")
    assert [axis.name for axis in spectra.axes] == ["position", "frequency"]
    assert "raster" in spectra.metadata["positions"]
    np.testing.assert_array_equal(spectra.data[:], samples)


def test_an_axis_that_depends_on_another_only_counts_steps(tmp_path: Path, written: Path, data: NDArray[Any]) -> None:
    with h5py.File(written, "r+") as file:
        values = file["Measurement_000/Channel_000/Spectroscopic_Values"]
        values[2] *= 1 + values[3]
    spectra = open_spectra(written)
    assert (spectra.axes[3].name, spectra.axes[3].unit) == ("bias", "px")
    assert "depends on other dimensions" in spectra.metadata["axis DC_Offset"]
    np.testing.assert_array_equal(spectra.data[2, 1], data[2, 1])


def test_compound_samples(tmp_path: Path) -> None:
    both = np.zeros((6, 4), [("real", "<f4"), ("imag", "<f4")])
    both["real"], both["imag"] = np.arange(24).reshape(6, 4), 7
    fit = np.zeros((6, 3), [("Amplitude [m/V]", "<f4"), ("Phase [rad]", "<f4")])
    fit["Phase [rad]"] = np.arange(18).reshape(6, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        main_data(file, "Raw_Data", both)
        main_data(file, "Raw_Data-SHO_Fit_000/Fit", fit, "DC_Offset")
    raw = open_spectra(tmp_path / "a.h5")
    assert raw.data.dtype == np.complex64
    np.testing.assert_array_equal(raw.data[1, 1], np.arange(16, 20) + 7j)
    assert open_spectra(tmp_path / "a.h5", dataset="Amplitude [m/V]").unit == "m/V"
    phase = open_spectra(tmp_path / "a.h5", dataset="Fit/Phase [rad]")
    assert (phase.unit, phase.axis.name, phase.axis.unit) == ("rad", "bias", "V")
    np.testing.assert_array_equal(phase.data[1], np.arange(9, 18).reshape(3, 3))


def test_several_candidates_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for channel in range(2):
            main_data(file, f"Channel_{channel}/Raw_Data", np.full((6, 4), float(channel)))
    with pytest.raises(FormatError, match=r"Channel_0/Raw_Data \(2, 3, 4\).*Channel_1/Raw_Data.*--dataset"):
        open_spectra(tmp_path / "a.h5")
    with pytest.raises(FormatError, match="several that end in 'Raw_Data'"):
        open_spectra(tmp_path / "a.h5", dataset="Raw_Data")
    with pytest.raises(FormatError, match=r"no data set 'Raw'; it holds /Channel_0/Raw_Data"):
        open_spectra(tmp_path / "a.h5", dataset="Raw")
    assert open_spectra(tmp_path / "a.h5", dataset="Channel_1/Raw_Data").data[1, 1, 1] == 1.0


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    def broken(change: Callable[[h5py.File], None]) -> str:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            main_data(file, "main", np.zeros((6, 4)))
            change(file)
        with pytest.raises(InputError) as caught:
            open_spectra(tmp_path / "a.h5")
        return str(caught.value)

    def point(file: h5py.File, table: str, at: h5py.HLObject) -> None:
        file["main"].attrs[table] = at.ref

    def repeat(file: h5py.File) -> None:
        file["main_Spectroscopic_Indices"][0, :2] = 0

    def spoil(file: h5py.File) -> None:
        file["main_Spectroscopic_Values"][0, 1] = np.nan

    assert "Position_Indices are no table" in broken(lambda f: point(f, "Position_Indices", f["/"]))
    assert "do not describe 6" in broken(lambda f: point(f, "Position_Indices", f["main_Spectroscopic_Indices"]))
    assert "not a grid" in broken(repeat)
    assert "Spectroscopic_Values are not all finite" in broken(spoil)


def test_a_foreign_hdf5_file_says_what_it_holds(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/image"] = np.zeros((7, 9))
    with pytest.raises(FormatError, match=r"neither USID nor NSID.*/entry/image \(7, 9\)"):
        open_spectra(tmp_path / "a.h5")
    for name in ("usid", "nsid"):
        with pytest.raises(FormatError, match=r"/entry/image \(7, 9\)"):
            open_spectra(tmp_path / "a.h5", format=name)


def test_a_damaged_chunk_is_named_and_the_others_are_still_read(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=(6, 400))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        main_data(file, "main", samples)
        tied = dict(file["main"].attrs)
        del file["main"]
        made = file.create_dataset("main", data=samples, chunks=(1, 400), compression="gzip", fletcher32=True)
        made.attrs.update(tied)
        place = made.id.get_chunk_info_by_coord((4, 0))
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[place.byte_offset + 9 : place.byte_offset + 40] = b"\x55" * 31
    (tmp_path / "a.h5").write_bytes(content)
    spectra = open_spectra(tmp_path / "a.h5")
    with pytest.raises(UnreadableError, match="positions 1:2, 1:2"):
        spectra.data[1, 1]
    np.testing.assert_array_equal(spectra.data[1, 2], samples[5])


def test_a_broken_heap_of_texts_is_found_before_hdf5_is_lost_in_it(written: Path) -> None:
    content = bytearray(written.read_bytes())
    place = content.find(b"GCOL")
    content[place + 16 : place + 32] = bytes(16)
    written.write_bytes(content)
    with pytest.raises(FormatError, match="heap of texts"):
        open_spectra(written)


def test_a_text_that_damage_has_turned_into_a_list_is_not_touched(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        raw = file["Measurement_000/Channel_000/Raw_Data"]
        lists = np.empty(1, object)
        lists[0] = np.array([1, 2], np.uint8)
        raw.attrs.create("units", lists, dtype=h5py.vlen_dtype(np.uint8))
    spectra = open_spectra(written)
    assert spectra.unit == "1"
    assert spectra.metadata["Measurement_000/Channel_000/Raw_Data@units"] == "not readable"


def test_no_more_is_read_than_a_block_needs(tmp_path: Path) -> None:
    axes = (Axis("y", 64), Axis("x", 16), Axis("bias", 32, "V"), Axis("frequency", 40, "Hz"))
    rows = (np.full((8, 16, 32, 40), row, np.complex64) for row in range(8))
    path = write_spectra(tmp_path / "scan.h5", rows, axes)
    spectra = open_spectra(path)
    spectra.data[0, 0]

    def bytes_read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = bytes_read()
    block = spectra.data[20:22]
    assert bytes_read() - before < block.nbytes + (1 << 17) < path.stat().st_size / 20
    before = bytes_read()
    spectra.data[40, 3, 4:6]
    assert bytes_read() - before < 1 << 17


def test_memory_stays_bounded_when_spectra_are_streamed(tmp_path: Path) -> None:
    axes = (Axis("y", 128), Axis("x", 32), Axis("bias", 64, "V"), Axis("frequency", 128, "Hz"))
    rows = (np.full((4, 32, 64, 128), row, np.complex64) for row in range(32))
    path = write_spectra(tmp_path / "scan.h5", rows, axes)
    code = (
        "import sys; from pathlib import Path; from parscope.io import open_spectra;"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]);"  # not its parent's
        "s = open_spectra(sys.argv[1]); s.data[:2]; before = peak();"
        "total = sum(s.data[y : y + 2].real.sum(dtype='f8') for y in range(0, 128, 2)); print(peak() - before, total)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    grown, total = done.stdout.split()
    assert int(grown) << 10 < 16 << 20 < path.stat().st_size / 10
    assert float(total) == 4 * 32 * 64 * 128 * sum(range(32))


def test_spectra_that_cannot_be_written_leave_nothing_behind(tmp_path: Path, data: NDArray[Any]) -> None:
    path = tmp_path / "scan.h5"
    with pytest.raises(ShapeError, match="3 rows came of 5"):
        write_spectra(path, [data[:3]], AXES)
    with pytest.raises(ShapeError, match="does not fit"):
        write_spectra(path, [data[:, :2]], AXES)
    with pytest.raises(ShapeError, match="0 rows came of 5"):
        write_spectra(path, [], AXES)
    with pytest.raises(ShapeError, match="positions first"):
        write_spectra(path, [data], AXES[::-1])
    with pytest.raises(OutputError, match="no such folder"):
        write_spectra(tmp_path / "nowhere" / "scan.h5", [data], AXES)
    assert list(tmp_path.iterdir()) == []
    write_spectra(path, [data], AXES)
    with pytest.raises(OutputError, match="exists already"):
        write_spectra(path, [data], AXES)
    write_spectra(path, [2 * data], AXES, overwrite=True)
    np.testing.assert_array_equal(open_spectra(path).data[:], 2 * data)
