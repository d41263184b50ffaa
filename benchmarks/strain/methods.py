"""The programs that are compared, each at the best settings found for these patterns."""

from __future__ import annotations

from benchmarks.exchange import Method

OURS = Method("parscope", "strain/ours.py", settings={"mode": "auto"})
OURS_GIVEN = Method("parscope, set-up given", "strain/ours.py", settings={"mode": "given"})

PY4DSTEM = "py4DSTEM 0.14.18"
QUANTEM = "quantem 0.1.10"
BLOBFINDER = "blobfinder 0.6.1"


def pooled_ours(size: int) -> Method:
    """parscope with `size` x `size` neighbouring positions pooled."""
    return Method(f"parscope, {size}x{size} pooled", "strain/ours.py", settings={"mode": "auto", "pool": size})


def peers(large: bool = False) -> tuple[Method, ...]:
    """All peers; `large` for patterns of 256 px and more, on which py4DSTEM does better with a wider filter."""
    sigma = 2 if large else 1
    return (
        Method(
            f"{PY4DSTEM} multicorr",
            "strain/peers/run_py4dstem.py",
            "py4dstem",
            {"subpixel": "multicorr", "sigma_cc": sigma},
        ),
        Method(f"{PY4DSTEM} poly", "strain/peers/run_py4dstem.py", "py4dstem", {"subpixel": "poly", "sigma_cc": sigma}),
        Method(f"{QUANTEM} upsample", "strain/peers/run_quantem.py", "others", {"subpixel": "upsample"}),
        Method(f"{QUANTEM} parabolic", "strain/peers/run_quantem.py", "others", {"subpixel": "parabolic"}),
        Method(BLOBFINDER, "strain/peers/run_blobfinder.py", "others"),
    )


def on_sums(size: int, methods: tuple[Method, ...]) -> tuple[Method, ...]:
    """The same peers, fed with the sum of `size` x `size` neighbouring patterns: anybody can do that much."""
    return tuple(
        Method(f"{m.name}, {size}x{size} summed", m.runner, m.environment, {**m.settings, "sum": size}) for m in methods
    )
