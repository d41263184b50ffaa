"""The page in a real browser: what a person sees and can do, with the pointer and with keys alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parscope.core.stream import Fate
from tests.serve.scene import OUTPUTS, RULE, SCAN, pattern
from tests.serve.shown import NARROW, WIDE, Shown, at, canvas


def test_every_output_is_a_map_with_its_name_unit_and_numbers(shown: Shown) -> None:
    titles = shown.page.locator(".map h3").all_inner_texts()
    assert titles[:3] == ["Centre of mass, q_y (px)", "Centre of mass, q_x (px)", "Bright field (counts)"]
    assert "Strain e_xx (%)" in titles and "Rotation (°)" in titles
    assert titles[-2:] == ["Direction of deflection", "Integrated CoM (px·step)"]
    assert len(titles) == len(OUTPUTS) + 2 and "Variance of the pattern (counts²)" in titles
    low, middle, high = shown.page.locator("[data-map='strain.e_xx'] .ticks span").all_inner_texts()
    strain = np.abs(100 * shown.scene.values[:32, :, 5])
    assert (low, middle) == (f"−{high}", "0")
    assert float(high) == pytest.approx(np.percentile(strain, 99), rel=0.03)
    centre = float(shown.page.locator("[data-map='com.y'] .ticks span").nth(1).inner_text())
    assert centre == pytest.approx(np.median(shown.scene.values[:32, :, 0]), abs=0.02)


def test_lines_that_come_later_appear_and_a_new_series_starts_empty(shown: Shown) -> None:
    before = shown.picture(canvas("bf.counts"))
    shown.scene.lines(32, 48)
    shown.wait("parscope.latest.phase === 'finished'")
    shown.wait("parscope.cards.every((card) => !card.dirty)")
    assert np.abs(at(before, 40, 30) - at(shown.picture(canvas("bf.counts")), 40, 30)).max() > 0.2
    assert shown.page.locator(".phase").inner_text() == "Finished · series 12"
    shown.scene.begin(13)
    shown.wait("parscope.latest.series === 13")
    assert shown.page.locator(".phase").inner_text() == "Waiting for a series · series 13"
    assert shown.page.title() == "Waiting for a series · series 13 · parscope live"


def test_one_cursor_goes_over_all_maps_and_keys_move_it(shown: Shown) -> None:
    field = shown.page.locator(canvas("bf.counts"))
    field.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowUp"):
        shown.page.keyboard.press(key)
    y, x = SCAN[0] // 2 - 11, SCAN[1] // 2 + 2
    shown.wait(f"parscope.pattern.title.textContent === 'y {y}, x {x}'")
    values = shown.page.locator(".map .value").all_inner_texts()
    assert all(text.startswith(f"y {y}, x {x}: ") for text in values)
    strain = 100 * shown.scene.values[y, x, 5]
    assert float(values[5].split(": ")[1].split("\u202f")[0].replace("−", "-")) == pytest.approx(strain, abs=0.006)
    assert values[5].endswith("%")
    down, right = (float(shown.scene.values[y, x, n] - np.median(shown.scene.values[:32, :, n])) for n in (0, 1))
    angle = float(values[-2].split(": ")[1].split("\u202f")[0].replace("−", "-"))
    assert angle == pytest.approx(np.degrees(np.arctan2(down, right)), abs=4)
    assert values[-1].endswith("px·step")
    shown.page.keyboard.press("Escape")
    assert shown.page.locator(".map .value").first.inner_text().strip() == ""


def test_a_key_at_the_edge_of_a_map_leaves_the_cursor_where_it_is(shown: Shown) -> None:
    shown.page.locator(canvas("bf.counts")).focus()
    for _ in range(5):
        shown.page.keyboard.press("Shift+ArrowLeft")
    assert shown.page.evaluate("[parscope.pinned, parscope.cursor]") == [True, [SCAN[0] // 2, 0]]
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate("parscope.pinned") is False


def test_a_click_on_a_hole_says_what_became_of_it(shown: Shown) -> None:
    box = shown.page.locator(canvas("com.x")).bounding_box()
    place = {"x": 20.5 / SCAN[1] * box["width"], "y": 10.5 / SCAN[0] * box["height"]}
    shown.page.locator(canvas("com.x")).click(position=place)
    assert shown.page.locator("[data-map='adf.counts'] .value").inner_text() == "y 10, x 20: lost"


def test_the_pattern_under_the_cursor_is_that_of_the_position(shown: Shown) -> None:
    box = shown.page.locator(canvas("com.x")).bounding_box()
    for y, x, told in ((5, 7, "y 5, x 7"), (30, 7, "The pattern of y 30, x 7 is not kept")):
        place = {"x": (x + 0.5) / SCAN[1] * box["width"], "y": (y + 0.5) / SCAN[0] * box["height"]}
        shown.page.locator(canvas("com.x")).click(position=place)
        shown.wait(f"parscope.pattern.title.textContent === '{told}'")
    counts = shown.page.evaluate("Array.from(parscope.pattern.counts, (v) => Number.isFinite(v) ? v : -1)")
    expected = pattern(5, 7).astype(int)
    expected[40, 7] = -1
    assert counts == expected.ravel().tolist()
    shown.page.get_by_label("Which pattern").select_option("mean")
    shown.wait("parscope.pattern.title.textContent === 'Mean of 1 patterns'")
    shown.page.get_by_label("log scale").uncheck()
    assert float(shown.page.locator(".pattern .ticks span").last.inner_text()) == pattern(31, 63)[:40].max()


def test_limits_are_moved_by_keys_and_pointer_and_go_back(shown: Shown) -> None:
    high = shown.page.get_by_role("slider", name="Upper limit of Annular dark field")
    first = float(high.get_attribute("aria-valuenow"))
    high.focus()
    shown.page.keyboard.press("ArrowLeft")
    second = float(high.get_attribute("aria-valuenow"))
    assert second < first
    box = high.bounding_box()
    shown.page.mouse.move(box["x"] + 5, box["y"] + 5)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] - 45, box["y"] + 5, steps=3)
    shown.page.mouse.up()
    assert float(high.get_attribute("aria-valuenow")) < second
    shown.page.get_by_role("button", name="auto").click()
    assert float(high.get_attribute("aria-valuenow")) == first
    shown.page.get_by_label("Colours span").select_option("full")
    assert float(high.get_attribute("aria-valuenow")) == pytest.approx(shown.scene.values[:32, :, 3].max(), rel=1e-6)


def test_limits_by_hand_outlive_maps_that_are_made_anew(shown: Shown) -> None:
    high = "Upper limit of Annular dark field"
    shown.page.get_by_role("slider", name=high).press("ArrowLeft")
    by_hand = shown.page.get_by_role("slider", name=high).get_attribute("aria-valuenow")
    shown.page.get_by_role("slider", name="Upper limit of the pattern").press("ArrowLeft")
    counts = shown.page.get_by_role("slider", name="Upper limit of the pattern").get_attribute("aria-valuenow")
    shown.scene.begin(13)
    shown.scene.lines(0, 9)
    shown.wait("parscope.latest.series === 13 && parscope.latest.done === 9 * 64")
    shown.settle("card.limits && ")
    assert shown.page.get_by_role("slider", name=high).get_attribute("aria-valuenow") == by_hand
    assert shown.page.get_by_role("slider", name="Upper limit of the pattern").get_attribute("aria-valuenow") == counts
    assert shown.page.evaluate("parscope.cards.filter((card) => card.byHand).map((card) => card.shown.name)") == [
        "adf.counts"
    ]


def test_a_ring_that_is_drawn_reaches_the_desk(shown: Shown) -> None:
    shown.wait("parscope.pattern.surface")
    assert shown.page.get_by_role("button", name="Use these").is_disabled()
    shown.page.get_by_label("Draw a ring").check()
    place = shown.page.locator(".pattern .stage canvas")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    dot = box["width"] / 48
    middle = box["x"] + 24 * dot, box["y"] + 24 * dot
    shown.page.mouse.move(*middle)
    shown.page.mouse.down()
    shown.page.mouse.move(middle[0] + 12 * dot, middle[1], steps=4)
    shown.page.mouse.up()
    shown.page.get_by_label("x of vd1 in px").fill("20")
    shown.page.get_by_role("button", name="Use these").click()
    shown.wait("parscope.pattern.detectors.told.textContent.startsWith('In use, ')")
    assert re.search(
        r"--analyse vd1=ring:23(\.\d+)?,20,[56](\.\d+)?,1[12](\.\d+)?$",
        shown.page.locator(".drawing .told").inner_text(),
    )
    shown.wait("parscope.cards[0].shown.name === 'vd1.counts' && parscope.cards[0].surface.codes[0] === 1")
    assert shown.page.locator(".map h3").first.inner_text() == "Virtual detector vd1 (counts)"
    assert all(shown.page.locator(".pattern .ticks span").all_inner_texts())
    shown.page.get_by_label("outer of vd1 in px").fill("5")
    shown.page.get_by_role("button", name="Use these").click()
    shown.wait("parscope.pattern.detectors.told.textContent.startsWith('vd1: has no area')")
    assert "409" in shown.faults.pop()
    shown.page.get_by_label("Remove vd1").click()
    shown.page.get_by_role("button", name="Use these").click()
    shown.wait("parscope.pattern.detectors.told.textContent === 'No detector is in use.'")
    shown.wait("parscope.cards[0].shown.name === 'com.y'")


def test_detectors_can_be_made_without_a_pointer(shown: Shown) -> None:
    shown.wait("parscope.pattern.surface")
    shown.page.get_by_role("button", name="Add by numbers").press("Enter")
    shown.page.get_by_role("button", name="Use these").press("Enter")
    shown.wait("parscope.pattern.detectors.told.textContent.endsWith('vd1=disc:23.5,23.5,6')")


def test_to_arm_takes_two_deliberate_steps_and_cannot_be_overlooked(shown: Shown) -> None:
    shown.page.get_by_role("button", name="Arm rules …").press("Enter")
    question = shown.page.get_by_role("dialog")
    assert RULE in question.inner_text()
    assert question.get_by_role("button", name="Arm").is_disabled()
    shown.page.keyboard.press("Escape")
    assert not question.is_visible() and not shown.desk.armed
    shown.page.get_by_role("button", name="Arm rules …").click()
    question.get_by_role("checkbox").check()
    question.get_by_role("button", name="Arm").click()
    shown.page.get_by_role("alert").filter(has_text="ARMED").wait_for()
    assert shown.desk.armed
    assert shown.page.title().startswith("ARMED · ")
    assert shown.page.locator(".mode").inner_text() == "Armed: rules act on the instrument."
    shown.page.get_by_role("button", name="Disarm now").click()
    shown.wait("!parscope.latest.armed")
    assert not shown.desk.armed and shown.page.locator(".alarm").is_hidden()


def test_latency_and_losses_are_told(shown: Shown) -> None:
    assert shown.page.locator(".missed").inner_text() == (
        "99.37 % of the patterns so far (2,035 of 2,048) were answered within 200\u202fµs; "
        "10 of 2,045 answers came later."
    )
    assert shown.page.locator(".histogram .late").count() >= 1
    assert shown.page.locator(".histogram .due").text_content() == "deadline 200\u202fµs"
    assert shown.page.locator("[data-counter=lost]").inner_text() == "lost\n1"
    assert "bad" in shown.page.locator("[data-counter=damaged]").get_attribute("class")
    assert (
        shown.page.locator(".legend").inner_text().replace("\n", " ")
        == "not measured yet 1,024 no value skipped 1 lost 1 damaged 1"
    )
    signs = shown.page.locator(".signs").inner_text().replace("\n", " ")
    assert signs.endswith("in time 99.37 % late 10 lost 1 skipped 1 damaged 1 stalls 0")


def test_patterns_that_were_passed_over_were_not_answered_in_time(shown: Shown) -> None:
    shown.scene.lines(32, 48, {(y, x): Fate.SKIPPED for y in range(32, 48) for x in range(SCAN[1])})
    shown.wait("parscope.latest.done === 48 * 64")
    assert "in time 66 % " in shown.page.locator(".signs").inner_text().replace("\n", " ")
    assert shown.page.locator(".missed").inner_text().startswith("66 % of the patterns so far (2,035 of 3,072) were")


def test_what_is_filled_in_afterwards_is_a_value_that_says_so(shown: Shown) -> None:
    shown.scene.fill(10, 22)
    shown.wait("parscope.latest.fates.filled === 1")
    words = shown.page.locator(".legend").inner_text().replace("\n", " ")
    assert words == "not measured yet 1,024 no value lost 1 damaged 1 filled in afterwards 1"
    assert shown.page.locator("[data-counter=filled]").inner_text() == "filled in afterwards\n1"
    card = "parscope.cards.find((card) => card.shown.name === 'bf.counts')"
    shown.wait(f"{card}.filled[10 * 64 + 22] === 1")
    shown.page.evaluate("parscope.point([10, 22])")
    told = shown.page.locator("[data-map='bf.counts'] .value").inner_text()
    assert re.fullmatch(r"y 10, x 22: 118\.3\sk\scounts, filled in afterwards", told), told
    shown.page.evaluate("parscope.point([10, 23])")
    assert "filled" not in shown.page.locator("[data-map='bf.counts'] .value").inner_text()


def test_the_journal_is_told_newest_first(shown: Shown) -> None:
    shown.desk.entries += [
        {"position": [3, n], "rule": RULE, "outcome": "would have sent", "latency_us": 41.0} for n in (4, 5)
    ]
    shown.wait("parscope.rules.body.rows.length === 2")
    assert shown.page.locator(".journal tbody tr").first.inner_text().split("\t") == [
        "3, 5",
        RULE,
        "would have sent",
        "41\u202fµs",
    ]
    assert "fired 2 times" in shown.page.locator(".rules").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_cut_off(browser: Any, scheme: str, size: dict[str, int], tmp_path: Path) -> None:
    made = Shown(browser, viewport=size, color_scheme=scheme)
    made.page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert made.page.evaluate("document.documentElement.scrollWidth") == size["width"]
    cut = "(all) => all.filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).map((e) => e.textContent)"
    assert (
        made.page.locator(".parscope-live :is(h1, h2, h3, button, p, .ticks, dd, dt, .signs li)").evaluate_all(cut)
        == []
    )
    ground = made.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", ground)[0]) > 128) == (scheme == "light")
    made.close()


def test_every_control_has_a_name_and_is_reached_by_tab(shown: Shown) -> None:
    reached = set()
    shown.page.locator("body").press("Tab")
    for _ in range(80):
        name = shown.page.evaluate(
            "((one) => one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent)"
            "(document.activeElement)"
        )
        assert name.strip()
        reached.add(name.strip())
        shown.page.keyboard.press("Tab")
    assert {"Stop", "Arm rules …", "Upper limit of Strain e_xx", "Enlarge Rotation", "Which pattern"} <= reached
    assert any(name.startswith("Map of Bright field") for name in reached)
