"""Memory by its address, up to sixteen bytes at a time: what indexing is too slow for.

Nothing is checked here. Every caller has compared the address with the end of its array before, and holds the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


def _pointer(builder: Any, address: Any, bits: Any) -> Any:
    """Turn an address into a pointer to `bits`."""
    return builder.inttoptr(address, bits.as_pointer())


def _load1(_typing: Any, address: Any) -> Any:
    """Read the byte at `address`, as a signed number of 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = builder.load(_pointer(builder, args[0], ir.IntType(8)), align=1)
        return builder.zext(value, ir.IntType(64))

    return types.int64(types.intp), generate


def _store1(_typing: Any, address: Any, value: Any) -> Any:
    """Write the lowest byte of `value` to `address`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        byte = builder.trunc(args[1], ir.IntType(8))
        builder.store(byte, _pointer(builder, args[0], ir.IntType(8)), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), generate


def _store8(_typing: Any, address: Any, value: Any) -> Any:
    """Write the 8 bytes of `value` to `address`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store(args[1], _pointer(builder, args[0], ir.IntType(64)), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint64), generate


def _load8(_typing: Any, address: Any) -> Any:
    """Read the 8 bytes at `address`, as a signed number."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, args[0], ir.IntType(64)), align=1)

    return types.int64(types.intp), generate


def _copy16(_typing: Any, to: Any, start: Any) -> Any:
    """Copy 16 bytes from address `start` to address `to`; all are read before one is written."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        block = ir.VectorType(ir.IntType(8), 16)
        value = builder.load(_pointer(builder, args[1], block), align=1)
        builder.store(value, _pointer(builder, args[0], block), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


# as numba sees them, the first argument is not given
load1: Callable[[int], int] = cast(Any, intrinsic(_load1))
load8: Callable[[int], int] = cast(Any, intrinsic(_load8))
store1: Callable[[int, int], None] = cast(Any, intrinsic(_store1))
store8: Callable[[int, Any], None] = cast(Any, intrinsic(_store8))
copy16: Callable[[int, int], None] = cast(Any, intrinsic(_copy16))


@nb.njit(**KERNEL)
def address(array: NDArray[Any]) -> int:
    """Where an array begins. As it is, the number has no sign, and numba makes a float of it and one with a sign."""
    return int(np.int64(array.ctypes.data))
