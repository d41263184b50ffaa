"""Memory by its address, up to sixteen bytes at a time: what indexing is too slow for.

Nothing is checked here. Every caller has compared the address with the end of its array before, and holds the array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


def _pointer(builder: Any, address: Any, bits: Any) -> Any:
    """Turn an address into a pointer to `bits`."""
    return builder.inttoptr(address, bits.as_pointer())


@intrinsic
def load1(_typing: Any, address: Any) -> Any:
    """Read the byte at `address`, as a signed number of 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = builder.load(_pointer(builder, args[0], ir.IntType(8)), align=1)
        return builder.zext(value, ir.IntType(64))

    return types.int64(types.intp), generate


@intrinsic
def store1(_typing: Any, address: Any, value: Any) -> Any:
    """Write the lowest byte of `value` to `address`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        byte = builder.trunc(args[1], ir.IntType(8))
        builder.store(byte, _pointer(builder, args[0], ir.IntType(8)), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), generate


@intrinsic
def store8(_typing: Any, address: Any, value: Any) -> Any:
    """Write the 8 bytes of `value` to `address`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store(args[1], _pointer(builder, args[0], ir.IntType(64)), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint64), generate


@intrinsic
def load8(_typing: Any, address: Any) -> Any:
    """Read the 8 bytes at `address`, as a signed number."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, args[0], ir.IntType(64)), align=1)

    return types.int64(types.intp), generate


@intrinsic
def copy16(_typing: Any, to: Any, start: Any) -> Any:
    """Copy 16 bytes from address `start` to address `to`; all are read before one is written."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        block = ir.VectorType(ir.IntType(8), 16)
        value = builder.load(_pointer(builder, args[1], block), align=1)
        builder.store(value, _pointer(builder, args[0], block), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate
