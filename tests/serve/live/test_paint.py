"""Maps as they are painted: colours, holes, scale bar and proportions, dot by dot in a real browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parscope.core.stream import Fate
from tests.serve.scene import SCAN
from tests.serve.shown import FACE, HOLES, LINE, Picture, Shown, at, canvas, gathered

LARGE = (256, 256)


def test_values_have_the_colours_of_their_bar_and_holes_those_of_nothing_else(shown: Shown) -> None:
    shown.page.locator("[data-map='strain.e_xx'] .enlarge").click()
    shown.wait("parscope.cards.every((card) => !card.dirty)")
    picture = shown.picture(canvas("strain.e_xx"))
    from matplotlib import colormaps

    low, high = shown.page.evaluate("parscope.cards.find((card) => card.shown.name === 'strain.e_xx').limits")
    for y, x in ((0, 0), (21, 19), (31, 63)):
        part = np.clip((100 * shown.scene.values[y, x, 5] - low) / (high - low), 0, 1)
        expected = colormaps["RdBu_r"](int(part * 255 + 0.5))[:3]
        np.testing.assert_allclose(
            at(picture, y, x).reshape(-1, 3), np.tile(expected, (at(picture, y, x).size // 3, 1)), atol=0.006
        )
    greys = {(grey / 255,) * 3 for grey in (FACE, LINE)}
    patterns = []
    for y, x in HOLES:
        dots = at(picture, y, x)
        assert {tuple(round(float(v), 4) for v in dot) for dot in dots.reshape(-1, 3)} <= {
            tuple(round(v, 4) for v in grey) for grey in greys
        }
        patterns.append((dots[:, :, 0] < 0.3).tobytes())
    assert len(set(patterns)) == 3
    assert at(picture, 40, 30).min() > 0.7


def test_both_painters_paint_the_same_picture(browser: Any) -> None:
    pictures = []
    for query in ("", "?paint=plain"):
        made = Shown(browser, query)
        assert made.page.evaluate("parscope.painter.constructor.name") == ("PlainPainter" if query else "GlPainter")
        pictures.append([made.picture(canvas(name)) for name in ("strain.e_xx", "bf.counts", "com.angle")])
        made.close()
    for one, other in zip(*pictures, strict=True):
        assert (np.abs(one - other).max(axis=2) > 0.01).mean() < 2e-3


def large_holes() -> dict[tuple[int, int], Fate]:
    """Single positions that are lost or damaged, and a third of some lines skipped."""
    random = np.random.default_rng(11)
    holes = {(int(y), int(x)): Fate.SKIPPED for y, x in zip(*random.integers(0, (60, 256), (5000, 2)).T, strict=True)}
    for n, (y, x) in enumerate(random.integers((61, 0), (170, 256), (40, 2)).tolist()):
        holes[y, x] = (Fate.LOST, Fate.DAMAGED)[n % 2]
    return holes


def of_all(codes: Picture) -> int:
    """The code of a dot: a fault always, another hole if it is half of what there is, else a value if there is one."""
    fault = codes[(codes == Fate.LOST) | (codes == Fate.DAMAGED)]
    holes, values = (codes == Fate.SKIPPED).sum(), (codes == Fate.ANSWERED).sum()
    if fault.size:
        return int(fault.max())
    return Fate.SKIPPED if holes and holes >= values else Fate.ANSWERED if values else Fate.WAITING


def mean(values: Picture) -> float:
    """Mean of what has a value."""
    some = values[np.isfinite(values)]
    return float(some.mean()) if len(some) else 0.0


@pytest.mark.parametrize("query", ["", "?paint=plain"], ids=["webgl", "plain"])
def test_where_dots_are_few_no_fault_is_hidden_and_values_are_means(browser: Any, query: str) -> None:
    holes = large_holes()
    made = Shown(browser, query, holes=holes, scan=LARGE)
    fate = np.full(LARGE, Fate.ANSWERED)
    fate[made.lines :] = Fate.WAITING
    for place, kind in holes.items():
        fate[place] = kind
    for name, column in (("bf.counts", 2), ("com.angle", None)):
        picture = made.picture(canvas(name))
        assert max(picture.shape[:2]) < 256
        codes = gathered(fate, picture.shape[:2], of_all)
        grey = (np.ptp(picture, axis=2) < 1e-6) & (np.abs(picture[:, :, 0] * 255 - (FACE + LINE) / 2) < 18)
        hole = (codes > Fate.ANSWERED)[: -40 * picture.shape[0] // 256]  # above the scale bar
        np.testing.assert_array_equal(grey[: len(hole)], hole)
        for y, x in (place for place, kind in holes.items() if kind != Fate.SKIPPED):
            assert grey[y * len(picture) // 256, x * len(picture) // 256]
        card = f"parscope.cards.find((card) => card.shown.name === '{name}')"
        if column is None:
            turned = np.deg2rad(np.array(made.page.evaluate(f"Array.from({card}.surface.values)")).reshape(LARGE))
            parts = np.where(fate == Fate.ANSWERED, np.exp(1j * turned), 0)
            share = np.angle(gathered(parts, picture.shape[:2], np.sum), deg=True) / 360 + 0.5
        else:
            low, high = made.page.evaluate(f"{card}.limits")
            values = np.where(fate == Fate.ANSWERED, made.scene.values[:, :, column], np.nan)
            share = (gathered(values, picture.shape[:2], mean) - low) / (high - low)
        table = np.array(made.page.evaluate(f"Array.from({card}.table)")).reshape(256, 3) / 255
        good = codes == Fate.ANSWERED
        good[-40 * picture.shape[0] // 256 :] = False
        expected = table[np.clip(share[good] * 255 + 0.5, 0, 255.5).astype(int)]
        assert (np.abs(picture[good] - expected).max(axis=1) > 0.03).mean() < 2e-3
    made.close()
    assert made.faults == []


def test_a_map_that_grows_shows_every_position_again(browser: Any) -> None:
    made = Shown(browser, holes={(100, 31): Fate.LOST}, scan=LARGE, viewport={"width": 1900, "height": 1000})
    for _ in range(2):
        made.page.locator("[data-map='bf.counts'] .enlarge").click()
        made.page.wait_for_timeout(100)
        made.settle()
        picture = made.picture(canvas("bf.counts"))
        grey = np.argwhere(np.ptp(picture[: len(picture) * 2 // 3 - 2], axis=2) < 1e-6)
        assert (grey.mean(axis=0) + 0.5) * 256 / len(picture) == pytest.approx([100.5, 31.5], abs=1)
    made.close()


def test_the_scale_bar_is_as_long_as_it_says(shown: Shown) -> None:
    picture = shown.picture(canvas("bf.counts"))
    rows, columns = picture.shape[:2]
    line = np.flatnonzero(np.abs(picture[rows - 10] * 255 - 0x1B).max(axis=1) < 3)  # in the middle of the bar
    assert line[0] == pytest.approx(8, abs=1)
    # 64 positions of 2 nm: a third of them is 44.8 nm, and the round length below is 20 nm
    assert len(line) == pytest.approx(20 / 2 * columns / SCAN[1], abs=1.5)
    noted = "function (words) { (window.words ??= []).push(words); }"
    shown.page.evaluate(f"CanvasRenderingContext2D.prototype.fillText = {noted}")
    shown.page.evaluate("parscope.redraw()")
    shown.settle()
    assert "20 nm" in shown.page.evaluate("window.words")


@pytest.mark.parametrize("scan", [(192, 24), (24, 192)], ids=["tall", "long"])
def test_a_scan_keeps_its_proportions(browser: Any, scan: tuple[int, int]) -> None:
    made = Shown(browser, holes={}, scan=scan, viewport={"width": 1280, "height": 500})
    made.page.locator("[data-map='bf.counts'] .enlarge").click()
    box = made.page.locator(canvas("bf.counts")).bounding_box()
    assert box["width"] / box["height"] == pytest.approx(scan[1] / scan[0], rel=0.05)
    assert box["height"] <= 0.7 * 500 + 1
    made.close()


def test_a_single_line_can_be_seen(browser: Any) -> None:
    made = Shown(browser, holes={}, scan=(3, 384))
    assert made.picture(canvas("bf.counts")).shape[0] >= 24
    made.close()
