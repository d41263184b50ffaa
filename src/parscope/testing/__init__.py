"""Checks that whoever extends parscope runs on his own part; used in tests, never imported at run time."""

from parscope.testing.describer import check_describer as check_describer
from parscope.testing.kernel import check_kernel as check_kernel
from parscope.testing.sink import check_sink as check_sink
from parscope.testing.solver import check_solver as check_solver
