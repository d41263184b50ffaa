"""The filewriter: a master file and data files in DECTRIS's layout, of the same compressed pixels as the stream's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.errors import OutputError
from parscope.live.emulator.faults import Variant
from parscope.live.emulator.frames import Views
from parscope.live.emulator.job import Filing, Job
from parscope.live.emulator.roll import packed

_DETECTOR = (
    "beam_center_x",
    "beam_center_y",
    "bit_depth_image",
    "bit_depth_readout",
    "count_time",
    "description",
    "detector_distance",
    "detector_number",
    "detector_readout_time",
    "frame_time",
    "sensor_material",
    "sensor_thickness",
    "x_pixel_size",
    "y_pixel_size",
)
_SPECIFIC = (
    "compression",
    "nimages",
    "ntrigger",
    "roi_mode",
    "trigger_mode",
    "x_pixels_in_detector",
    "y_pixels_in_detector",
)


def write_files(job: Job, filing: Filing, views: Views, images: int, missing: Collection[int]) -> tuple[str, ...]:
    """Write all images of a series, of the first channel, whether the stream lost them or not.

    Parameters
    ----------
    job : Job
        The order.
    filing : Filing
        Where to.
    views : Views
        Patterns.
    images : int
        Images that were taken.
    missing : collection of int
        Numbers of the images in which some pixels were not read.

    Returns
    -------
    tuple of str
        Names of the files, the master first.

    Raises
    ------
    OutputError
        If one of them exists.
    OSError
        If the disk is full.
    """
    import h5py

    folder, master = Path(filing.folder), f"{filing.name}_master.h5"
    names, lost = [master], frozenset(missing)
    with _created(h5py, folder / master) as file:
        _describe(file, job, views)
        data = file.create_group("entry/data")
        per_file = filing.per_file or max(images, 1)
        for number, first in enumerate(range(0, images, per_file), 1):
            part = range(first, min(images, first + per_file))
            if not filing.per_file:
                _store(data, "data", job, views, part, lost)
                break
            name = f"{filing.name}_data_{number:06d}.h5"
            with _created(h5py, folder / name) as target:
                stored = _store(target.create_group("entry/data"), "data", job, views, part, lost)
                stored.attrs["image_nr_low"] = np.uint32(filing.first + part.start)
                stored.attrs["image_nr_high"] = np.uint32(filing.first + part.stop - 1)
            data[f"data_{number:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
            names.append(name)
    return tuple(names)


def _created(h5py: Any, path: Path) -> Any:
    """A new file; one that is there already is somebody's data."""
    try:
        return h5py.File(path, "x")
    except FileExistsError as error:
        raise OutputError("exists already", str(path), "choose another name_pattern or folder") from error


def _describe(file: Any, job: Job, views: Views) -> None:
    """What the master says of the detector."""
    detector = file.create_group("entry/instrument/detector")
    specific = detector.create_group("detectorSpecific")
    for group, keys in ((detector, _DETECTOR), (specific, _SPECIFIC)):
        for key in keys:
            group[key] = job.header[key]
    specific["pixel_mask"] = views.mask(job.imaging.merge)
    specific["series_id"] = job.series
    file["entry"].attrs["NX_class"] = "NXentry"
    detector.attrs["NX_class"] = "NXdetector"


def _store(group: Any, name: str, job: Job, views: Views, images: range, missing: frozenset[int]) -> Any:
    """Write images as the detector compressed them: one chunk each, as it is."""
    import hdf5plugin

    shape = views.shape(job.imaging.merge)
    filters = {"bslz4": dict(hdf5plugin.Bitshuffle(cname="lz4")), "lz4": dict(hdf5plugin.LZ4()), "none": {}}
    stored = group.create_dataset(
        name,
        (len(images), *shape),
        f"uint{job.imaging.bits}",
        chunks=(1, *shape),
        **filters[job.imaging.compression],
    )
    for place, slot in enumerate(views.slots(np.array(images)).tolist()):
        variant = Variant.NODATA if images[place] in missing else Variant.WHOLE
        part = next(iter(packed(views, job.imaging, slot, variant).values()))
        stored.id.write_direct_chunk((place, 0, 0), part.data)
    return stored
