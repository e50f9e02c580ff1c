"""The player of the report page: videos in step, curves with a cursor, difference, mouth, figure, keys, addresses.

The videos are made so that a frame's brightness says which frame it is.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import browser, problems
from support.runs import noisy, run

from lipsync_eval.media import write_video
from lipsync_eval.reports.page import write_page
from lipsync_eval.results.schema import ClipRow

N = 40
IDS = ["one", "two with spaces & <b>", "three"]
LEVEL = 4
"""Brightness per frame."""


def made(clip: ClipRow, side: str, stem: Path, extra: int = 0, frames: int = N) -> dict[str, Any]:
    """A 64x48 video whose frame i is of brightness 20 + 4 i, with a bright square where the mouth is."""

    def frame(i: int) -> np.ndarray:
        image = np.full((48, 64, 3), 20 + LEVEL * i + extra, np.uint8)
        image[30:36, 28:36] = 250
        return image

    write_video(stem.with_name(stem.name + ".mp4"), (frame(i) for i in range(frames)), codec="h264", crf=1)
    stem.with_name(stem.name + ".jpg").write_bytes(b"")
    return {"frames": frames, "width": 64, "height": 48, "mouth": [[0, 0.5, 0.6875, 0.1]] if side == "gt" else []}


def brighter(clip: ClipRow, side: str, stem: Path) -> dict[str, Any]:
    return made(clip, side, stem, extra=0 if side == "gt" else 10, frames=N if side == "gt" else 30)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = [30.0, 31.0, 32.0]
    truth = {"lse_d": [7.0, 7.5, 8.0]}
    runs = [
        run("same", {"psnr": base, "lse_d": [8.0, 8.5, 9.0]}, gt_values=truth, ids=IDS),
        run("brighter_method", {"psnr": noisy(base, -1, 3), "lse_d": [9.0, 9.5, 14.0]}, gt_values=truth, ids=IDS),
    ]
    curves = {"psnr": np.linspace(30, 35, N), "lse_d": np.linspace(8, 9, N), "syncnet_distance": np.arange(31.0)}
    frames = [dict.fromkeys(IDS, curves) for _ in runs]
    return write_page(runs, frames, tmp_path_factory.mktemp("player"), [made, brighter])


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    with browser() as driver:
        yield driver


@pytest.fixture
def driver(shared: Any, page: Path) -> Any:
    return opened(shared, page)


def opened(driver: Any, page: Path, address: str = "") -> Any:
    driver.get("about:blank")
    driver.get(page.as_uri() + address)
    until(driver, "return document.getElementById('player').dataset.ready !== undefined")
    until(driver, "return charts.list.every((c) => c.plot.data)")
    return driver


def until(driver: Any, script: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not driver.execute_script(script):
        assert time.monotonic() < end, f"still not: {script}"
        time.sleep(0.05)


def press(driver: Any, key: str, *, shift: bool = False) -> None:
    event = f"new KeyboardEvent('keydown', {{key: '{key}', shiftKey: {str(shift).lower()}, bubbles: true, cancelable: true}})"
    driver.execute_script(f"document.body.dispatchEvent({event})")


def settled(driver: Any) -> None:
    until(driver, "return view.sync.seeking === null")


def shown(driver: Any) -> list[int]:
    """The frame that each tile shows, read from its pixels: real, same, brighter_method."""
    values = driver.execute_script(
        "return view.tiles.map((t) => t.context.getImageData(4, 4, 1, 1).data[0])",
    )
    return [round((v - 20 - extra) / LEVEL) for v, extra in zip(values, (0, 0, 10), strict=True)]


def test_frames_are_stepped_together_by_keys_and_buttons(driver: Any) -> None:
    assert shown(driver) == [0, 0, 0]
    for key, shift, frame in (("ArrowRight", False, 1), ("ArrowRight", True, 11), ("ArrowLeft", False, 10)):
        press(driver, key, shift=shift)
        settled(driver)
        assert shown(driver) == [frame] * 3
    driver.find_element("id", "forward").click()
    settled(driver)
    assert shown(driver) == [11] * 3
    assert driver.find_element("id", "time").text == f"0.44 s, frame 11 of {N}"
    assert [p for p in problems(driver) if "willReadFrequently" not in p] == [], "a hint about the test's own reading"


def test_a_method_that_ends_earlier_keeps_its_last_frame_and_says_so(driver: Any) -> None:
    driver.execute_script("return go(35)")
    settled(driver)
    assert shown(driver) == [35, 35, 29]
    assert driver.execute_script("return view.tiles[2].note.textContent") == "ends at frame 29"


def test_playing_stays_in_step_and_ends(driver: Any) -> None:
    driver.execute_script("$('speed').value = '0.5'; $('speed').dispatchEvent(new Event('change')); toggle()")
    seen = []
    until(driver, "return view.sync.frame > 2")
    while (frames := shown(driver))[0] < 25:
        seen.append(frames)
    assert len({f[0] for f in seen}) >= 3, "it moves"
    apart = [max(f) - min(f) for f in seen]
    assert np.median(apart) <= 1, f"in step: {seen}"
    until(driver, "return !view.sync.playing && view.sync.seeking === null")
    assert shown(driver)[:2] == [N - 1] * 2
    assert driver.find_element("id", "play").text == "Play"


def test_a_loop_stays_between_its_marks(driver: Any) -> None:
    driver.execute_script("return go(10)")
    settled(driver)
    press(driver, "[")
    driver.execute_script("return go(16)")
    settled(driver)
    press(driver, "]")
    assert driver.find_element("id", "loop-text").text == "frames 10 to 16"
    driver.execute_script(
        "window.seen = []; const old = view.sync.told; view.sync.told = (f) => { seen.push(f); old(f); }; toggle()"
    )
    until(driver, "return seen.filter((f, i) => i && f < seen[i - 1]).length >= 2")
    driver.execute_script("return view.sync.pause()")
    assert set(driver.execute_script("return seen")) <= set(range(10, 18)), "two rounds, and never outside"


def test_difference_and_mouth_zoom(driver: Any) -> None:
    press(driver, "d")
    first = driver.execute_script("return view.tiles.map((t) => t.context.getImageData(4, 4, 1, 1).data[0])")
    assert first[0] > 15, "the real video itself stays"
    assert first[1] <= 4 * 2, "no difference"
    assert first[2] == pytest.approx(40, abs=8), "10 levels, four times"
    press(driver, "d")
    press(driver, "m")
    size = driver.execute_script("return [view.tiles[0].canvas.width, view.tiles[0].canvas.height]")
    assert size == [320, 320]
    middle = driver.execute_script("return view.tiles.map((t) => t.context.getImageData(160, 160, 1, 1).data[0])")
    assert min(middle) > 200, "the mouth's square is in the middle of every tile"


@pytest.mark.parametrize("every", [False, True])
def test_no_difference_from_other_speech(every: bool, shared: Any, tmp_path: Path) -> None:
    """--setting cross: the real video shows the person saying something else."""
    runs = [run("plain", {"psnr": [30.0]}), run("dubbed", {"psnr": [30.0]})]
    for k, made_cross in enumerate((every, True)):
        if made_cross:
            score = runs[k]["psnr"].model_copy(update={"signature": runs[k]["psnr"].signature + "|setting:cross"})
            runs[k] = runs[k].model_copy(update={"scores": [score]})
    driver = opened(shared, write_page(runs, [{}, {}], tmp_path, [made, brighter]))
    assert driver.find_element("id", "difference").is_enabled() != every
    press(driver, "d")
    told = driver.execute_script("return view.tiles.map((t) => t.note.textContent)")
    said = "the real video shows other speech: no difference"
    assert told == (["", "", ""] if every else ["", "difference x 4", said])
    assert shown(driver)[2] == 0, "the frame itself"


def test_a_click_on_a_curve_moves_the_video_and_the_cursor(driver: Any) -> None:
    from selenium.webdriver import ActionChains

    plot = driver.find_element("css selector", ".plot .nsewdrag")
    before = driver.execute_script("return charts.list[0].cursor.getBoundingClientRect().left")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    ActionChains(driver).move_to_element(plot).pause(0.3).click().perform()
    until(driver, "return view.sync.frame > 0")
    settled(driver)
    frame = driver.execute_script("return view.sync.frame")
    assert abs(frame - (N - 1) / 2) <= 2, "the middle of the plot is the middle of the clip"
    assert shown(driver)[:2] == [frame] * 2
    assert driver.execute_script("return charts.list[0].cursor.getBoundingClientRect().left") > before + 50
    told = driver.execute_script("return charts.list[0].spots[0].textContent")
    assert float(told) == pytest.approx(np.linspace(30, 35, N)[frame], abs=0.01)
    grip = driver.find_element("css selector", ".cursor")
    ActionChains(driver).drag_and_drop_by_offset(grip, 60, 0).perform()
    settled(driver)
    assert driver.execute_script("return view.sync.frame") > frame, "dragging the cursor moves the video"


def test_the_real_value_is_a_line_in_its_plot(driver: Any) -> None:
    assert driver.execute_script("return charts.list.map((c) => c.plot.layout.shapes.map((s) => s.y0))") == [
        [],
        [7.0],
        [],
    ]


def test_a_link_leads_to_a_clip_and_moment(driver: Any, page: Path) -> None:
    opened(driver, page, "#clip=two%20with%20spaces%20%26%20%3Cb%3E&t=0.48")
    assert driver.find_element("id", "clip-name").text == IDS[1]
    assert shown(driver) == [12] * 3
    press(driver, "ArrowRight")
    settled(driver)
    until(driver, "return location.hash.endsWith('&t=0.52')")
    driver.execute_script("location.hash = '#clip=three&t=0.2'")
    until(driver, "return document.getElementById('player').dataset.ready === '2'")
    settled(driver)
    assert shown(driver) == [5] * 3
    opened(driver, page, "#clip=no such clip&t=x")
    assert driver.find_element("id", "clip-name").text == IDS[0]


def test_the_figure_of_moments_is_an_image_that_can_be_saved(driver: Any) -> None:
    driver.execute_script("return go(3)")
    settled(driver)
    driver.find_element("id", "figure").click()
    until(driver, "return figure.moments.length === 1")
    driver.find_element("id", "figure-close").click()
    driver.execute_script("return go(20)")
    settled(driver)
    press(driver, "f")
    until(driver, "return figure.moments.length === 2")
    data = driver.execute_script("return $('figure-canvas').toDataURL('image/png')")
    assert base64.b64decode(data.split(",")[1]).startswith(b"\x89PNG"), "a page from the disk may read its own pixels"
    width, height = driver.execute_script("return [$('figure-canvas').width, $('figure-canvas').height]")
    assert width > 3 * 700 and height > 2 * 320
    assert driver.find_element("id", "figure-command").text.endswith("--clip 'one' --at 0.12,0.80 --zoom mouth")


def test_where_two_methods_differ_most(driver: Any) -> None:
    from selenium.webdriver.support.select import Select

    Select(driver.find_element("id", "metric")).select_by_visible_text("LSE-D")
    press(driver, "w")
    rows = driver.find_elements("css selector", "#cliptable tbody tr")
    assert rows[0].find_element("css selector", "a").text == "three"
    assert [c.text for c in rows[0].find_elements("css selector", "td")][-1] == "-5.000"
    assert rows[0].find_elements("css selector", "strong")[0].text == "9.000", "the better one is bold"
    assert len(rows[0].find_elements("css selector", ".thumbs img")) == 3
    rows[0].find_element("css selector", "a").click()
    until(driver, "return document.getElementById('player').dataset.ready === '2'")
    assert rows[0].get_attribute("aria-current") == "true"
    press(driver, "n")
    until(driver, "return document.getElementById('player').dataset.ready !== '2'")


def test_best_and_real_in_the_summary(driver: Any) -> None:
    rows = {
        r.find_element("css selector", "th").text: r for r in driver.find_elements("css selector", "#summary tbody tr")
    }
    best = rows["LSE-D \u2193"]
    assert [c.text for c in best.find_elements("css selector", "strong")] == ["8.500"]
    assert best.find_elements("css selector", "td")[0].text == "7.500", "the real videos"


def test_every_key_is_in_the_help(driver: Any) -> None:
    press(driver, "?")
    assert driver.execute_script("return $('keys-dialog').open")
    text = driver.find_element("id", "keys").text
    for word in ("play", "one frame on", "loop", "mouth", "difference", "figure", "link", "heard"):
        assert word in text


WORDS = """
const broken = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) {
  if (!node.parentElement.closest("th, td.name, label, button, h1, h2, h4, nav, .values")) continue;
  for (const match of node.data.matchAll(/[\\p{L}\\d.]+/gu)) {
    const range = document.createRange();
    range.setStart(node, match.index);
    range.setEnd(node, match.index + match[0].length);
    const lines = new Set([...range.getClientRects()].filter((r) => r.width > 0).map((r) => Math.round(r.top)));
    if (lines.size > 1) broken.push(match[0]);
  }
}
return broken;
"""


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_it_fits_and_breaks_no_word(driver: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        time.sleep(0.5)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert driver.execute_script(WORDS) == []
        driver.execute_script("scrollTo(0, document.body.scrollHeight)")
        assert driver.execute_script("return document.querySelector('header').getBoundingClientRect().top") == 0
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
