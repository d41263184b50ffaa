"""Every real file is described, by the describer of its format, and keeps the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from parscope.core.description import Description
from parscope.core.registry import load, names
from parscope.io.describe import describe, sniff
from parscope.testing import check_describer

Told = Callable[[str], Description]

# file -> describer, kind, voltage [kV], when
EXPECTED = {
    "08_carbon.dm3": ("dm", "spectrum", 300.0, "2017-08-29"),
    "nist_643_Titan_EELS_dataZeroed.dm3": ("dm", "image", 200.0, ""),
    "pyTEMlib_EELS_STO.dm3": ("dm", "spectrum", 200.0, ""),
    "ncempy_3D_int16.dm4": ("dm", "image stack", None, ""),
    "ncempy_Camera_Ceta_Diffraction_Micro.emd": ("velox", "diffraction pattern", 300.0, "2020-07-29"),
    "ncempy_Camera_Ceta_Imaging_Micro.emd": ("velox", "image", 300.0, "2020-07-29"),
    "SciFiReaders_SpectrumImage_Si.emd": ("velox", "spectrum image", 200.0, "2017-03-06"),
    "pyTEMlib_EDS-STO.emd": ("velox", "spectrum", 200.0, "2025-04-08"),
    "ncempy_Acquisition_18.emd": ("hdf5", "image", None, ""),
    "ncempy_emd_type1_stringDims.h5": ("hdf5", "4D-STEM", None, ""),
    "au_145mm_68kx_microprobe_01_master.h5": ("hdf5", "4D-STEM", None, "2025-08-06"),
    "16_STOimage.emi": ("tia", "image", 80.0, "2011-10-19"),
    "16_STOimage_1.ser": ("tia", "image", 80.0, "2011-10-19"),
    "EMD-3001.map": ("mrc", "volume", None, ""),
    "nist_quanta_quad1image_001.tif": ("tiff", "image", 30.0, "2017-12-18"),
    "L2083-K-4-1_tilt_0.bcf": ("bruker", "spectrum image", 200.0, "2018-11-29"),
    "nist_647_leo_edax_test.msa": ("emsa", "spectrum", 10.0, "2022-08-29"),
    "nanonis_stm_Au_mica_195.sxm": ("nanonis-image", "scanning probe image", None, "2023-04-29"),
    "Bias-Spectroscopy041.dat": ("nanonis-spectrum", "spectroscopy", None, "2020-07-07"),
    "nanoscope_full_multiple_images.000": ("nanoscope", "scanning probe image", None, "2014-10-17"),
    "scan_0001.ibw": ("igor", "scanning probe image", None, "2024-08-20"),
    "SciFiReaders_PEA_BDA_film-1.axz": ("axz", "scanning probe image", None, "2024-01-12"),
    "SciFiReaders_GaAs_map.mdt": ("mdt", "spectroscopy", None, "2023-04-05"),
    "BEPS_PTO_50x50.h5": ("hdf5", "spectroscopy", None, ""),
    "PZT_final0001.h5": ("hdf5", "scanning probe image", None, ""),
    "SingFreqPFM_0003.h5": ("hdf5", "scanning probe image", None, ""),
    "about_dataset.txt": ("table", "document", None, ""),
}


def needs(describer: str) -> None:
    """Skip what needs an extra that is not there."""
    for module in {"em": ("rsciio",), "igor-experiment": ("igor2",)}.get(describer, ()):
        pytest.importorskip(module) if module != "rsciio" else _found(module)


def _found(module: str) -> None:
    # found, not imported, because it is under the GPL
    import importlib.util

    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def test_every_real_file_is_described(sample_files: Path) -> None:
    kinds = {}
    for path in sorted(p for p in sample_files.rglob("*") if p.is_file()):
        told = describe(path, sample_files)
        assert json.loads(json.dumps(told.vendor)).keys() == told.vendor.keys()
        assert told.vendor, path.name
        kinds[path.name] = told.kind
    assert len(kinds) >= 45
    assert {name for name, kind in kinds.items() if kind == "document"} == {"about_dataset.txt", "MANIFEST.md"}


@pytest.mark.parametrize("file", EXPECTED)
def test_what_the_real_files_say(sample_files: Path, file: str) -> None:
    path = next(p for p in sample_files.rglob("*") if p.name.endswith(file))
    reader, kind, voltage, when = EXPECTED[file]
    told = describe(path, sample_files)
    assert (told.reader, told.kind) == (reader, kind)
    assert told.acquired.startswith(when) and bool(told.acquired) == bool(when)
    quantity = told.common.get("beam", {}).get("voltage")
    assert (quantity is None) == (voltage is None)
    if quantity is not None:
        assert quantity["value"] * {"V": 1e-3, "kV": 1.0}[quantity["units"]] == pytest.approx(voltage, rel=1e-12)


SMALL = (
    "nion_ref_F_2_1.dm4",
    "ncempy_STEM_HAADF_Diffraction_Micro.emd",
    "ncempy_emd_type1_stringDims.h5",
    "16_STOimage_1.ser",
    "EMD-3197.map",
    "nist_quanta_quad1image_001.tif",
    "L2083-K-4-1_tilt_0.bcf",
    "nist_647_leo_edax_test.msa",
    "nist_647_leo_edax_test.spc",
    "nanonis_stm_Au_mica_195.sxm",
    "nanonispy_Bias-Spectroscopy002.dat",
    "nanoscope_full_multiple_images.000",
    "igor2_mac-double.ibw",
    "igor2_win-version5.ibw",
    "igor2_polar-graphs-demo.pxp",
    "SciFiReaders_PEA_BDA_film-1.axz",
    "SciFiReaders_GaAs_map.mdt",
    "about_dataset.txt",
)


@pytest.mark.parametrize("file", SMALL)
def test_describers_keep_their_contract(real: Callable[[str], Path], file: str) -> None:
    path = real(file)
    describer = sniff(path)
    needs(describer.name)
    check_describer(describer, path)


def test_a_bias_of_zero_is_one(real: Callable[[str], Path], tmp_path: Path) -> None:
    content = real("nanonis_stm_Au_mica_195.sxm").read_bytes()
    said = re.search(rb":BIAS:\s+(\S+)", content)
    assert said is not None
    (tmp_path / "zero.sxm").write_bytes(
        content.replace(said[0], said[0].replace(said[1], b"0.000E+0".rjust(len(said[1]))), 1)
    )
    assert describe(tmp_path / "zero.sxm").common["bias"] == {"value": 0.0, "units": "V"}


def test_every_describer_of_the_registry_has_its_name() -> None:
    every = names("parscope.describers")
    assert [load("parscope.describers", name)().name for name in every] == list(every)


def test_two_files_of_one_acquisition_say_the_same(told: Told) -> None:
    series, about = told("16_STOimage_1.ser"), told("16_STOimage.emi")
    assert series.vendor == about.vendor
    assert [p.name for p in series.parts] == ["16_STOimage.emi"]
    assert [p.name for p in about.parts] == ["16_STOimage_1.ser"]


def test_channels_and_their_axes(told: Told) -> None:
    pfm = told("scan_0001.ibw")
    assert [s.name for s in pfm.signals][:2] == ["HeightRetrace", "Amplitude1Retrace"]
    assert {s.shape for s in pfm.signals} == {(256, 256)}
    assert pfm.signals[3].unit == "deg"
    loops = told("BEPS_PTO_50x50.h5").signals[0]
    assert [axis.name for axis in loops.axes] == ["y", "x", "bias"]
    stack = told("ncempy_3D_int16.dm4").signals[0]
    assert [(axis.unit, axis.scale) for axis in stack.axes] == [("um", 4.0), ("nm", 3.0), ("pm", 2.0)]


def test_a_missing_data_file_is_named(told: Told) -> None:
    assert "au_145mm_68kx_microprobe_01_data_000001.h5" in "".join(
        told("au_145mm_68kx_microprobe_01_master.h5").warnings
    )
    assert "missing" in told("bruker_nanoscope_header.000").warnings[0]
    assert "cannot be read" in told("nist_quanta_quad1image_001.tif").warnings[-1]
