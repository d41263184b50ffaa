# ruff: noqa: T201 - an example talks to its reader
"""Map the strain of a scan, look at it, and keep it: the whole way in a few lines of Python.

Run it in an empty folder; it writes scan.h5, strain.nc and strain.png.
"""

from pathlib import Path

from parscope import map_strain, simulate_scan
from parscope.core import Status
from parscope.report.strain_figure import write_png
from parscope.techniques.diffraction.simulate import ScanDesign

# A scan to play with. Yours is a file that the microscope wrote: leave this line out.
simulate_scan("scan.h5", ScanDesign(scan=(24, 24), electrons=3000.0, vacuum=0.2), overwrite=True)

# Everything is found from the data. What you know better is said by name, as in map_strain(..., max_q=60.0).
strain = map_strain("scan.h5", "strain.nc", overwrite=True)

# The result is an xarray data set on the scan axes: values, standard errors, and why a position has no value.
print(strain.e_xx.sel(y=12).values)
print("typical standard error of e_xx:", float(strain.e_xx_std.median()))
for status in Status:
    count = int((strain.status == status).sum())
    if count:
        print(f"{count} patterns: {status.sentence}")

# Zero strain is the median lattice of one region; another one is chosen with reference="y0:y1,x0:x1".
rows, columns = strain.reference.values.nonzero()
print(f"zero strain: rows {rows.min()} to {rows.max()}, columns {columns.min()} to {columns.max()}")

write_png(strain, Path("strain.png"))
