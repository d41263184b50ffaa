"""The cycle-consistent spatial transforming autoencoder of 4D-STEM as published, to compare with; not the product.

S. Qin, J. Agar, N. Tran, "Extremely Noisy 4D-TEM Strain Mapping Using Cycle Consistent Spatial Transforming
Autoencoders", AI4Mat workshop, NeurIPS 2023, openreview.net/forum?id=7yt3N0o0W9. Written from a description of it.

What the description leaves open is chosen here: how the gradient passes the class (straight through), the form of the
blocks (which gives the published numbers of parameters), that strain is held at zero in the first stage, and the units
of the loss (parts of the variance within the ring). Left out are weights for residuals of one sign, the intensity in
masks, the training of the translation alone on edges, and all that is set by hand for each noise level.
"""

from parscope.solvers.networks.cycle.autoencoder import CycleAutoencoder as CycleAutoencoder
from parscope.solvers.networks.cycle.design import SMALL as SMALL
from parscope.solvers.networks.cycle.design import CycleDesign as CycleDesign
from parscope.solvers.networks.cycle.solver import CycleSolver as CycleSolver
from parscope.solvers.networks.cycle.stages import Stage as Stage
from parscope.solvers.networks.cycle.stages import learn as learn
from parscope.solvers.networks.cycle.view import View as View
