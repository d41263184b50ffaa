"""The HTML page: whole in itself, safe against hostile names, true to the numbers, and quiet in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from parscope.core.solver import Status
from parscope.report.html import command_to_repeat, write_report
from parscope.report.summary import summarise
from parscope.report.view import StrainView

HOSTILE = "</title><script>alert('x')</script>&\"'$\\frac{$ \u202e\x00\udcff 扫描 😀 https://evil.example/a.png?.h5"
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


class Outline(HTMLParser):
    """Tags, attributes and words of a page; complains about tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def outline(html: str) -> Outline:
    """Parse a page to its end."""
    parsed = Outline()
    parsed.feed(html)
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def dataset(make_map: Callable) -> xr.Dataset:
    """A usual map whose every name was chosen to break out of the page."""
    hostile = make_map((12, 16), source=f"/data/{HOSTILE}", worst=3)
    choice = {"name": HOSTILE, "value": HOSTILE, "unit": HOSTILE, "how": HOSTILE}
    for attribute, more in (("choices", [choice]), ("settings", {HOSTILE: HOSTILE})):
        known = json.loads(hostile.attrs[attribute])
        hostile.attrs[attribute] = json.dumps(known + more if isinstance(known, list) else known | more)
    hostile.attrs |= {"title": HOSTILE, HOSTILE: HOSTILE}
    return hostile


@pytest.fixture(scope="module")
def report(dataset: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(dataset, tmp_path_factory.mktemp("report") / "folder")


def test_a_folder_gets_one_file(report: Path) -> None:
    assert report.parent.name == "folder"
    assert [p.name for p in report.parent.iterdir()] == ["report.html"]


def test_the_page_needs_nothing_from_outside(report: Path) -> None:
    html = report.read_text("utf-8")
    for tag, name, value in outline(html).attributes:
        assert tag not in ("script", "iframe", "object", "embed", "form"), tag
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "srcset", "action", "data", "poster"):
            assert value.startswith(("data:", "#")), (tag, name, value[:60])
    css = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert css is not None
    assert "url(" not in css.group(1)
    # A printed page is as narrow as a phone, and cannot be scrolled sideways.
    assert re.findall(r"@media ([a-z]*) ?(?:and )?\(max-width", css.group(1)) == ["screen"]
    assert "@import" not in css.group(1)
    assert "default-src 'none'" in html


def test_links_lead_to_sections_and_images_are_described(report: Path) -> None:
    attributes = outline(report.read_text("utf-8")).attributes
    anchors = {value for _, name, value in attributes if name == "id"}
    links = {value[1:] for _, name, value in attributes if name == "href" and value.startswith("#")}
    assert links == anchors
    images = [value for tag, name, value in attributes if (tag, name) == ("img", "alt")]
    assert len(images) == 4
    assert all(images)


def test_the_page_tells_the_numbers_choices_options_and_provenance(report: Path, dataset: xr.Dataset) -> None:
    said = " ".join(outline(report.read_text("utf-8")).words)
    number = int(StrainView(dataset).fitted.sum())
    assert f"Strain was fitted at {number} of 192 scan positions" in said
    for choice in json.loads(dataset.attrs["choices"])[:-1]:
        assert choice["how"] in said
    for option in ("--probe-radius", "--probe-edge", "--centre", "--pool", "--gain", "--mask-file", "--reference"):
        assert option in said
    for no_option in ("--basis", "--disks", "--distortion"):
        assert no_option not in said
    assert "3.4 px (± 0.004)" in said
    assert dataset.attrs["source_fingerprint"] in said
    assert dataset.attrs["noise"] in said
    assert "parscope strain '/data/" in said
    for setting in list(json.loads(dataset.attrs["settings"]))[:-1]:
        assert setting in said


def test_hostile_names_are_shown_as_words(report: Path) -> None:
    html = report.read_text("utf-8")
    assert "<script" not in html
    assert "\x00" not in html
    said = " ".join(outline(html).words)
    assert "</title><script>alert('x')</script>&\"'$\\frac{$" in said
    assert "扫描 😀" in said


def test_command_to_repeat_quotes_and_prefers_what_was_recorded(make_map: Callable) -> None:
    dataset = make_map((4, 4), source="/data/my scan; rm.h5")
    dataset.attrs["settings"] = json.dumps({"pool": 3, "mask": None, "grains": False, "centre": [1.5, 2]})
    command = command_to_repeat(StrainView(dataset))
    assert command == "parscope strain '/data/my scan; rm.h5' --pool 3 --no-grains --centre 1.5,2"
    dataset.attrs["command"] = "parscope strain a.h5"
    assert command_to_repeat(StrainView(dataset)) == "parscope strain a.h5"


@pytest.mark.skipif(BROWSER is None, reason="no chromium installed: apt-get install chromium")
def test_a_browser_opens_the_page_without_complaint(report: Path, tmp_path: Path) -> None:
    switches = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
    )
    command = [str(BROWSER), *switches.split(), f"--user-data-dir={tmp_path}", report.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "What would help" in done.stdout
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def advice(dataset: xr.Dataset) -> str:
    """All advice of a report."""
    return " ".join(summarise(StrainView(dataset)).advice)


def scaled(dataset: xr.Dataset, **factors: float) -> xr.Dataset:
    """The map with some variables multiplied."""
    changed = dataset.copy(deep=True)
    for name, factor in factors.items():
        changed[name] = changed[name] * factor
    return changed


def test_a_clean_map_gets_no_advice(make_map: Callable) -> None:
    clean = make_map(failing=False, electrons=50000)
    assert advice(clean) == "Nothing stands out: the errors follow the dose and the model fits the patterns."
    assert "No position was flagged." in summarise(StrainView(clean)).paragraph


def test_pooling_is_advised_by_what_it_would_bring(make_map: Callable) -> None:
    noisy = make_map(failing=False, electrons=300)
    error = 100 * np.median([noisy[f"{name}_std"] for name in ("e_xx", "e_yy", "e_xy")])
    found = re.search(r"pooling 3\W+3 patterns would bring it to about ([\d.]+) %", advice(noisy))
    assert found is not None
    assert float(found.group(1)) == pytest.approx(error / 3, rel=0.05)
    line = make_map((1, 60), failing=False, electrons=300)
    found = re.search(r"pooling 3\W+3 patterns would bring it to about ([\d.]+) %", advice(line))
    assert found is not None
    error = 100 * np.median([line[f"{name}_std"] for name in ("e_xx", "e_yy", "e_xy")])
    assert float(found.group(1)) == pytest.approx(error / 3**0.5, rel=0.05)
    assert "longer dwell time" in advice(make_map(failing=False, electrons=30, pool=5))


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"misfit": 3.0}, "look for structure"),
        ({"misfit": 0.5}, "the gain is too high"),
        ({"limit_ratio": 3.0}, "contrast inside the disks"),
        ({"e_xx": 0.01}, "do not read structure"),
    ],
)
def test_advice_follows_the_numbers(make_map: Callable, factors: dict, words: str) -> None:
    clean = make_map(failing=False, electrons=50000)
    assert words not in advice(clean)
    assert words in advice(scaled(clean, **factors))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.UNREADABLE, "damaged"),
        (Status.NOT_DONE, "stopped early"),
        (Status.WEAK, "too few electrons"),
        (Status.BOUNDARY, "Several lattices"),
        (Status.NO_MODEL, "another kind"),
        (Status.VACUUM, "Most of the scan is vacuum"),
    ],
)
def test_advice_follows_the_failures(make_map: Callable, status: Status, words: str) -> None:
    dataset = make_map(failing=False)
    assert words not in advice(dataset)
    dataset["status"][:14] = int(status)
    assert words in advice(dataset)
    assert f"{status.sentence} at {14 * 32}" in summarise(StrainView(dataset)).paragraph


def test_missing_calibration_and_reference_are_named(make_map: Callable) -> None:
    found = advice(make_map(unit="px", reference="none"))
    assert "no calibration" in found
    assert "reference region" in found


def test_a_value_that_is_no_number_is_counted_as_lost(make_map: Callable) -> None:
    dataset = make_map(failing=False)
    dataset["e_xx"][0, 0] = np.nan
    view = StrainView(dataset)
    assert int(view.fitted.sum()) == 24 * 32 - 1
    assert "767 of 768" in summarise(view).paragraph
