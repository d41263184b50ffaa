"""Real files of scanning probes: what is handed out is what other programs find in them; damaged ones are refused."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parscope.core.errors import FormatError, InputError, OptionError, TruncatedError
from parscope.core.spectra import Spectra
from parscope.io import open_spectra

REAL = {
    "spectroscopy/BEPS_PTO_50x50.h5": ((50, 50, 64), "bias"),
    "spectroscopy/Bias-Spectroscopy041.dat": ((24, 256), "bias"),
    "spectroscopy/P0089OP0027.ibw": ((256, 256, 5), "channel"),
    "spectroscopy/PZT_final0001.h5": ((256, 256, 8), "channel"),
    "spectroscopy/SingFreqPFM_0003.h5": ((128, 128, 4), "channel"),
    "spectroscopy/bfo_iv_final.hf5": ((50, 50, 53), "√E"),
    "spectroscopy/scan_0001.ibw": ((256, 256, 6), "channel"),
    "microscopy/spm/igor2_win-version5.ibw": ((5,), "step"),
    "microscopy/spm/igor2_mac-version5.ibw": ((5,), "step"),
    "microscopy/spm/nanonis_afm_A151216.123306-02602.sxm": ((128, 128, 18), "channel"),
    "microscopy/spm/nanonis_stm_Au_mica_195.sxm": ((256, 256, 4), "channel"),
    "microscopy/spm/nanonis_sts_Bias-Spectroscopy00015.dat": ((14, 2048), "bias"),
    "microscopy/spm/nanonispy_Bias-Spectroscopy002.dat": ((4, 1024), "bias"),
}


def close(spectra: Spectra) -> None:
    """Release the file, where there is one."""
    getattr(spectra.data, "close", lambda: None)()


@pytest.mark.parametrize("name", REAL)
def test_every_real_file_opens(sample_files: Path, name: str) -> None:
    spectra = open_spectra(sample_files / name)
    shape, axis = REAL[name]
    assert (spectra.data[...].shape, spectra.axis.name) == (shape, axis)
    assert all(axis.unit for axis in spectra.axes)
    if len(shape) == 3:
        assert [axis.unit for axis in spectra.axes[:2]] == ["nm", "nm"]
        np.testing.assert_array_equal(spectra.data[3:5, 2], spectra.data[:][3:5, 2])
    close(spectra)


def test_other_files_of_microscopes_are_refused_in_one_line(sample_files: Path) -> None:
    known = {sample_files / name for name in REAL}
    refused = 0
    for path in sorted(set(sample_files.rglob("*")) - known):
        if path.is_file():
            with pytest.raises(InputError) as caught:
                open_spectra(path)
            assert "\n" not in str(caught.value)
            assert path.name in str(caught.value)
            refused += 1
    assert refused > 30


def test_nsid_against_the_file_itself(sample_files: Path) -> None:
    path = sample_files / "spectroscopy" / "BEPS_PTO_50x50.h5"
    spectra = open_spectra(path)
    with h5py.File(path) as file:
        stored = file["Channel_000/generic/generic"]
        # its dimensions are X, Y, Voltage
        np.testing.assert_array_equal(spectra.data[:], stored[:].transpose(1, 0, 2))
        np.testing.assert_array_equal(spectra.axis.values, file["Channel_000/generic/Voltage"][:])
        step = float(np.diff(file["Channel_000/generic/Y"][:2])[0])
    assert spectra.axes[0].scale == pytest.approx(1e9 * step)
    assert (spectra.unit, spectra.axis.unit) == ("a.u.", "V")
    assert spectra.metadata["quantity"] == "Piezoresponse"
    close(spectra)
    channel = open_spectra(sample_files / "spectroscopy" / "PZT_final0001.h5", dataset="Channel_4/Channel_4")
    assert (channel.data.shape, channel.unit, channel.metadata["channels"]) == (
        (256, 256, 1),
        "deg",
        ["PhaseRetrace (deg)"],
    )
    assert channel.metadata["Measurement_000/Channel_4/Channel_4/original_metadata@AmplitudeSetpointVolts"] == 0.8
    close(channel)


def test_usid_against_the_file_itself(sample_files: Path) -> None:
    path = sample_files / "spectroscopy" / "SingFreqPFM_0003.h5"
    spectra = open_spectra(path)
    by_hand = np.full((128, 128, 4), np.nan, np.float32)
    with h5py.File(path) as file:
        x, y = file["Measurement_000/Position_Indices"][:].T
        for place in range(4):
            by_hand[y, x, place] = file[f"Measurement_000/Channel_{place:03}/Raw_Data"][:, 0]
    np.testing.assert_array_equal(spectra.data[:], by_hand)
    assert spectra.metadata["channels"][1] == "AmplitudeRetrace (m)"
    close(spectra)


def test_igor_against_the_file_itself(sample_files: Path) -> None:
    path = sample_files / "spectroscopy" / "scan_0001.ibw"
    spectra = open_spectra(path)
    stored = np.fromfile(path, "<f4", 256 * 256 * 6, offset=384).reshape(6, 256, 256)
    # Igor's first line is drawn at the bottom
    np.testing.assert_array_equal(spectra.data[:], stored[:, ::-1].transpose(1, 2, 0))
    assert spectra.metadata["channels"][3:] == ["Phase1Retrace (deg)", "Phase2Retrace (deg)", "FrequencyRetrace (Hz)"]
    assert spectra.axes[1].scale == pytest.approx(5000 / 255)
    assert (spectra.metadata["ScanSize"], spectra.metadata["ImagingMode"]) == ("5e-06", "PFM Mode")
    assert spectra.metadata["NapPhaseOffset"] == ["-82.639", "90"]
    one = open_spectra(path, dataset="Amplitude2Retrace")
    assert (one.unit, one.metadata["channels"]) == ("m", ["Amplitude2Retrace (m)"])
    np.testing.assert_array_equal(one.data[7, 5:9, 0], stored[2, 248, 5:9])
    with pytest.raises(FormatError, match="no channel 'Amplitude'; it holds HeightRetrace, Amplitude1Retrace"):
        open_spectra(path, dataset="Amplitude")


def wave(shape: tuple[int, ...], samples: np.ndarray[Any, Any], labels: list[str], code: int = 4) -> bytes:
    """An Igor wave of version 5, put together from the description of the format."""
    names = b"".join(name.encode().ljust(32, b"\0") for name in ["", *labels]) if labels else b""
    sizes = [0] * 4
    sizes[len(shape) - 1] = len(names)
    head = struct.pack("<hh10i4x8x", 5, 0, 320 + samples.nbytes, 0, 6, 0, 0, 0, 0, 0, *sizes[:2])
    head = head[:36] + struct.pack("<4i", *sizes) + bytes(12)
    lengths = (*shape, 0, 0, 0)[:4]
    scales = struct.pack("<4d4d", 0.5, 2.0, 3.0, 1.0, 10.0, 0.0, 0.0, 0.0)
    body = bytes(12) + struct.pack("<ih", samples.size, code) + bytes(50) + struct.pack("<4i", *lengths) + scales
    body = (body + b"A\0\0\0" + b"V\0\0\0m\0\0\0s\0\0\0\0\0\0\0").ljust(320, b"\0")
    checksum = -sum(struct.unpack("<192h", head + body)) & 0xFFFF
    return head[:2] + struct.pack("<H", checksum) + head[4:] + body + samples.tobytes() + b"a: 1\rb" + names


def test_igor_waves_of_every_rank(tmp_path: Path) -> None:
    path = tmp_path / "wave.ibw"

    def opened(shape: tuple[int, ...], labels: list[str], **options: Any) -> tuple[Spectra, np.ndarray[Any, Any]]:
        samples = np.arange(float(np.prod(shape)))
        path.write_bytes(wave(shape, samples, labels))
        return open_spectra(path, **options), samples.reshape(shape[::-1])

    line, samples = opened((4,), [])
    np.testing.assert_array_equal(line.data[...], samples)
    assert (line.unit, line.axis.unit, line.axis.offset, line.axis.scale) == ("A", "V", 10.0, 0.5)
    assert line.metadata == {"a": "1", "b": ""}
    curve, samples = opened((4, 2), ["Defl", "ZSnsr"], dataset="Defl")
    np.testing.assert_array_equal(curve.data[...], samples[0])
    assert curve.unit == "m"
    with pytest.raises(FormatError, match=r"2 data sets: Defl \(4,\), ZSnsr \(4,\).*--dataset"):
        opened((4, 2), ["Defl", "ZSnsr"])
    image, samples = opened((4, 3), [])
    np.testing.assert_array_equal(image.data[:], samples[::-1, :, None])
    volume, samples = opened((4, 3, 5), [])
    np.testing.assert_array_equal(volume.data[:], samples[:, ::-1].transpose(1, 2, 0))
    np.testing.assert_array_equal(volume.data[1:, 2], samples[:, ::-1].transpose(1, 2, 0)[1:, 2])
    with pytest.raises(FormatError, match=r"shape \(2, 2, 2, 2\), neither image nor spectra"):
        opened((2, 2, 2, 2), [])
    path.write_bytes(wave((2,), np.zeros(2), [], code=0))
    with pytest.raises(FormatError, match="not of numbers"):
        open_spectra(path)


def test_nanonis_images_against_the_file_itself(sample_files: Path) -> None:
    folder = sample_files / "microscopy" / "spm"
    up, down = folder / "nanonis_afm_A151216.123306-02602.sxm", folder / "nanonis_stm_Au_mica_195.sxm"
    spectra = open_spectra(down)
    planes = np.frombuffer(down.read_bytes().partition(b"\x1a\x04")[2], ">f4").reshape(4, 256, 256)
    np.testing.assert_array_equal(spectra.data[:, :, 0], planes[0])
    # the way back runs from right to left: turned round, it shows what the way there does
    current = spectra.data[:, :, 2:]
    np.testing.assert_array_equal(current[..., 1], planes[3, :, ::-1])
    assert np.corrcoef(current[..., 0].ravel(), current[..., 1].ravel())[0, 1] > 0.95
    assert spectra.metadata["COMMENT"].startswith("4.4 K")
    planes = np.frombuffer(up.read_bytes().partition(b"\x1a\x04")[2], ">f4").reshape(18, 128, 128)
    one = open_spectra(up, dataset="Phase backward")
    np.testing.assert_array_equal(one.data[:, :, 0], planes[7, ::-1, ::-1])
    assert one.unit == "deg"


def test_nanonis_spectra_against_the_file_itself(sample_files: Path) -> None:
    path = sample_files / "microscopy" / "spm" / "nanonis_sts_Bias-Spectroscopy00015.dat"
    head, _, table = path.read_text().partition("[DATA]\n")
    by_hand = np.array([[float(cell) for cell in line.split("\t")] for line in table.splitlines()[1:]]).T
    spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra.data[:], by_hand[1:])
    np.testing.assert_allclose(spectra.axis.values, by_hand[0], rtol=0, atol=1e-9)
    assert spectra.metadata["Lock-in>Frequency (Hz)"] == "1E+3"
    assert len(spectra.metadata) == len([line for line in head.splitlines() if line.strip()]) + 1
    for name in ("LI Demod 1 X", "LI Demod 1 X (A)"):
        one = open_spectra(path, dataset=name)
        np.testing.assert_array_equal(one.data[:], by_hand[4])
        assert one.unit == "A"


def test_nanonis_files_that_end_too_early(sample_files: Path, tmp_path: Path) -> None:
    whole = (sample_files / "spectroscopy" / "Bias-Spectroscopy041.dat").read_bytes()
    for length in (len(whole) - 5, 900, 300):
        (tmp_path / "cut.dat").write_bytes(whole[:length])
        with pytest.raises(TruncatedError, match="ends"):
            open_spectra(tmp_path / "cut.dat")
    image = (sample_files / "microscopy" / "spm" / "nanonis_stm_Au_mica_195.sxm").read_bytes()
    (tmp_path / "cut.sxm").write_bytes(image[:-1])
    with pytest.raises(TruncatedError, match=f"{len(image) - 1} bytes of {len(image)}"):
        open_spectra(tmp_path / "cut.sxm")


@pytest.mark.parametrize("name", REAL)
def test_damaged_files_never_show_a_foreign_exception(sample_files: Path, tmp_path: Path, name: str) -> None:
    whole, rng = (sample_files / name).read_bytes(), np.random.default_rng(4)
    for turn in range(12):
        damaged = bytearray(whole)
        if turn % 4 == 3:
            damaged = damaged[: int(rng.integers(1, len(damaged)))]
        else:
            # headers are short: half of the flips go there
            reach = len(damaged) if turn % 2 else min(len(damaged), 4000)
            for place in rng.integers(0, reach, 12):
                damaged[place] ^= 1 << int(rng.integers(8))
        path = tmp_path / f"{turn}{Path(name).suffix}"
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            spectra = open_spectra(path)
            with contextlib.suppress(InputError):
                spectra.data[...]
            close(spectra)


def test_a_missing_file_an_empty_one_and_an_unknown_reader(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_spectra(tmp_path / "a.h5")
    (tmp_path / "a.h5").touch()
    with pytest.raises(FormatError, match="empty"):
        open_spectra(tmp_path / "a.h5")
    with pytest.raises(FormatError, match="no format of spectra"):
        open_spectra(tmp_path)
    (tmp_path / "a.h5").write_bytes(b"notes")
    with pytest.raises(OptionError, match="choose one of numpy, usid, nsid, igor, nanonis-spectrum, nanonis-image"):
        open_spectra(tmp_path / "a.h5", format="usdi")
