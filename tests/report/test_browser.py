"""The page of `parscope view`: a click, a key, a list and a slider change what they should; in a real browser too."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.errors import OptionError
from parscope.core.solver import Status
from parscope.report.fit_view import FitView
from parscope.workflows.fit import map_spectra
from parscope.workflows.fit.job import plan_again
from parscope.workflows.look import Look
from tests.report.devtools import BROWSER, Page
from tests.report.fits import FREQUENCY, signals, spectra

pytest.importorskip("bokeh")

from bokeh.document import Document
from bokeh.events import Tap

from parscope.report.browser.page import Browser, layers
from parscope.report.browser.serve import start


def browser(*names: str) -> Browser:
    """The page of a fit on some navigation axes."""
    given = spectra(*names)
    maps = map_spectra(given, "be-sho")
    return Browser(FitView(maps), Look(maps, plan_again(given, json.loads(maps.attrs["settings"]))))


def samples(page: Browser) -> Any:
    """Samples that are shown."""
    modulus, phase = (plot.samples.data["samples"] for plot in page.curves.plots)
    return modulus * np.exp(1j * np.radians(phase))


def test_a_click_shows_the_spectrum_there() -> None:
    page = browser("y", "x")
    page._tapped(Tap(None, x=5.3, y=1.6))
    np.testing.assert_allclose(samples(page), spectra("y", "x").data[2, 5], rtol=1e-9)
    assert page.words.text.startswith("<b>y 2, x 5</b>")
    assert "fitted; misfit" in page.words.text
    assert (page.mark.data["x"], page.mark.data["y"]) == ([5], [2])
    here = page.view.dataset.isel(y=2, x=5)
    assert f"{1e-3 * float(here['resonance']):.3f} ± {1e-3 * float(here['resonance_std']):.3f} kHz" in page.table.text
    page._tapped(Tap(None, x=99, y=-7))
    assert page.index == {"y": 0, "x": 7}


def test_a_spectrum_without_a_value_says_why() -> None:
    page = browser("y", "x")
    page.mark.data = {"x": [3], "y": [0]}
    assert Status.BAD_INPUT.sentence in page.words.text
    assert page.table.text.count("no value") == 6
    assert np.isnan(page.curves.plots[0].samples.data["samples"]).all()
    assert page.curves.plots[0].band.data["xs"] == []


def test_every_layer_is_shown_in_the_units_of_its_label() -> None:
    page = browser("y", "x")
    for name, layer in layers(page.view).items():
        page.choice.value = name
        np.testing.assert_array_equal(page.map.source.data["image"][0], layer.values)
        assert page.map.figure.title.text == layer.paint.label
        assert (page.map.mapper.low, page.map.mapper.high) == (layer.paint.low, layer.paint.high)
    assert list(layers(page.view))[:4] == ["resonance", "quality", "amplitude", "phase"]
    assert (page.map.mapper.palette[Status.WEAK], page.map.mapper.nan_color) == ("#88ccee", "#616161")


def test_a_slider_moves_along_a_further_axis() -> None:
    page = browser("y", "x", "cycle", "bias")
    page._tapped(Tap(None, x=4, y=3))
    page.sliders["bias"].value, page.sliders["cycle"].value = 2, 0
    np.testing.assert_allclose(samples(page), spectra("y", "x", "cycle", "bias").data[3, 4, 0, 2], rtol=1e-9)
    np.testing.assert_allclose(
        page.map.source.data["image"][0], 1e-3 * page.view.dataset["resonance"].values[:, :, 0, 2]
    )
    assert page.sliders["bias"].title == "bias 8 V (3 of 8)"
    assert "cycle 0 (1 of 2), bias 8 V (3 of 8)" in page.words.text


def test_a_line_and_a_single_spectrum_have_a_page_too(tmp_path: Path) -> None:
    line = browser("position")
    line._tapped(Tap(None, x=11.8, y=321.0))
    np.testing.assert_allclose(samples(line), signals(30)[12], rtol=1e-9)
    line.open_in(Document())
    np.savez(tmp_path / "one.npz", frequency=FREQUENCY, spectra=signals(1)[0])
    from parscope.io import open_spectra

    given = open_spectra(tmp_path / "one.npz")
    maps = map_spectra(given, "be-sho")
    alone = Browser(FitView(maps), Look(maps, plan_again(given, json.loads(maps.attrs["settings"]))))
    alone.open_in(Document())
    np.testing.assert_allclose(samples(alone), signals(1)[0], rtol=1e-9)


def test_a_port_that_is_taken_is_said_or_passed_over() -> None:
    first = start(lambda document: None)
    try:
        with pytest.raises(OptionError, match=f"--port {first.port}: taken"):
            start(lambda document: None, first.port)
        second = start(lambda document: None)
        assert second.port > first.port
        assert {first.address, second.address} == {"127.0.0.1"}
        second.stop()
    finally:
        first.stop()


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("parscope.report.browser")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    answer = CliRunner().invoke(app, ["view", "maps.nc"])
    assert answer.exit_code == 2
    assert answer.stderr == "parscope: bokeh is not installed; run: pip install 'parscope[view]'\n"


def test_what_is_no_fit_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "maps.nc").write_bytes(b"no maps")
    for words in (["none.nc"], [str(tmp_path / "maps.nc")]):
        answer = CliRunner().invoke(app, ["view", *words])
        assert (answer.exit_code, answer.stdout, len(answer.stderr.splitlines())) == (2, "", 1)


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium")
def test_a_real_browser_shows_the_map_and_follows_keys_and_clicks(tmp_path: Path) -> None:
    np.savez(tmp_path / "scan.npz", frequency=FREQUENCY, spectra=signals(48).reshape(6, 8, 80))
    map_spectra(tmp_path / "scan.npz", "be-sho", tmp_path / "maps.nc")
    code = "from parscope.cli.main import run; run()"
    command = [sys.executable, "-c", code, "view", str(tmp_path / "maps.nc"), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[1]
        try:
            asyncio.run(asyncio.wait_for(_use(address, tmp_path / "browser"), 90))
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


async def _use(address: str, folder: Path) -> None:
    """Open the page, press a key, click, and look at what is drawn."""
    model = "Bokeh.documents[0].get_model_by_name"
    async with Page(folder) as page:
        await page.send("Page.navigate", url=address)
        await page.until("window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
        assert await page.evaluate(f"{model}('words').text.startsWith('<b>y 3, x 4</b>')")
        await page.press("ArrowRight")
        await page.press("ArrowUp")
        await page.until(f"{model}('words').text.startsWith('<b>y 2, x 5</b>')")
        box = f"Bokeh.index.find_one({model}('map')).el.getBoundingClientRect()"
        place = await page.evaluate(f"JSON.stringify({box})")
        bbox = f"Bokeh.index.find_one({model}('map')).frame.bbox"
        frame = await page.evaluate(
            f"JSON.stringify({{x: {bbox}.left, y: {bbox}.top, width: {bbox}.width, height: {bbox}.height}})"
        )
        left, frame_box = json.loads(place), json.loads(frame)
        x = left["x"] + frame_box["x"] + frame_box["width"] * 0.5 / 8
        y = left["y"] + frame_box["y"] + frame_box["height"] * 5.5 / 6
        await page.click(x, y)
        await page.until(f"{model}('words').text.startsWith('<b>y 5, x 0</b>')")
        picture = base64.b64decode((await page.send("Page.captureScreenshot", format="png"))["data"])
        image = matplotlib.image.imread(io.BytesIO(picture))[..., :3]
    inside = image[
        int(left["y"] + frame_box["y"]) : int(left["y"] + frame_box["y"] + frame_box["height"]),
        int(left["x"] + frame_box["x"]) : int(left["x"] + frame_box["x"] + frame_box["width"]),
    ]
    # The map is in colour, and its failed pixels are grey.
    assert np.ptp(inside, axis=2).max() > 0.5
    assert (np.abs(inside - 0x61 / 255).max(axis=2) < 0.01).sum() > 500
