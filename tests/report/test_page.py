"""The report page in a real browser, from the disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import browser, problems, requests
from support.clips import pair_folders
from support.runs import noisy, run
from support.waiting import until

from lipsync_eval.cli import run as cli
from lipsync_eval.errors import UsageError
from lipsync_eval.locks import Lock
from lipsync_eval.reports.page import write_page
from lipsync_eval.reports.page_media import no_media
from lipsync_eval.results.schema import Result

HOSTILE = "<img src=x onerror=alert(1)>"
BASE = list(np.random.default_rng(0).normal(30, 3, 12))


def frames(result: Result, n: int = 50) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(1)
    return {
        c.id: {
            "psnr": np.where(np.arange(n) == 3, np.nan, rng.normal(30, 1, n)),
            "lmd": rng.uniform(1, 2, n),
            "syncnet_distance": rng.uniform(8, 12, 31),
        }
        for c in result.clips
    }


def pages(folder: Path, clips: int = 12) -> Path:
    base = list(np.random.default_rng(0).normal(30, 3, clips))
    ids = [f"clip{i:03d}" for i in range(clips - 1)] + [HOSTILE + "</script><script>alert(2)</script>"]
    runs = [
        run("one", {"psnr": base, "lmd": [None, *[1.5] * (clips - 1)]}, ids=ids),
        run(HOSTILE, {"psnr": noisy(base, -1, 3), "lmd": [2.0] * clips}, ids=ids),
    ]
    return write_page(runs, [frames(r) for r in runs], folder, [no_media] * 2)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pages(tmp_path_factory.mktemp("page") / "report page ü#%")


def rows(driver: Any) -> list[str]:
    return [r.text for r in driver.find_elements("css selector", "#cliptable tbody tr td.name")]


def test_it_opens_from_the_disk_and_stays_there(page: Path) -> None:
    with browser() as driver:
        driver.get(page.as_uri())
        assert len(rows(driver)) == 12
        driver.execute_script("document.getElementById('scatter-section').scrollIntoView()")
        drawn = "return charts.list.filter((c) => c.plot.data).length"
        until(lambda: driver.execute_script(drawn) == 3, "the plots")
        until(
            lambda: driver.execute_script("return (document.getElementById('scatter').data || []).length") == 1,
            "points",
        )
        asked = requests(driver)
        assert asked
        root = page.parent.as_uri()
        assert [a for a in asked if not a.startswith((root, "data:"))] == []
        assert problems(driver) == []


def test_unlike_runs_are_shown_with_a_warning(page: Path, tmp_path: Path) -> None:
    both = [run("one", {"psnr": BASE}), run(HOSTILE, {"psnr": BASE}, proto="raw.1")]
    unlike = write_page(both, [{}, {}], tmp_path / "p", [no_media] * 2)
    with browser() as driver:
        driver.get(unlike.as_uri())
        said = driver.find_element("id", "unlike").text
        assert said == f"one and {HOSTILE}: psnr was not measured the same way (proto: radio.1 | raw.1)."
        driver.get(page.as_uri())
        assert driver.find_element("id", "unlike").text == "" and problems(driver) == []


def test_nothing_in_the_folder_points_elsewhere(page: Path) -> None:
    for file in page.parent.rglob("*"):
        if file.suffix in {".html", ".css", ".js"} and file.name != "plotly.min.js":
            found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"']*", file.read_text("utf-8"))
            assert [f for f in found if not f.startswith("http://www.w3.org/")] == [], file


def test_hostile_names_stay_text(page: Path) -> None:
    with browser() as driver:
        driver.get(page.as_uri())
        until(lambda: rows(driver), "the rows of the table")
        assert driver.find_elements("css selector", "img[src=x]") == []
        assert any(HOSTILE in row for row in rows(driver))
        assert HOSTILE in driver.find_element("id", "summary").text
        assert HOSTILE in driver.title
        assert problems(driver) == []


def test_sorting_and_filtering(page: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    with browser() as driver:
        driver.get(page.as_uri())
        Select(driver.find_element("id", "run")).select_by_visible_text("one, all metrics")
        driver.find_element("css selector", '[data-key="psnr"]').send_keys(Keys.ENTER)  # by keyboard
        values = [float(c.text) for c in driver.find_elements("css selector", "#cliptable tbody td:nth-child(3)")]
        assert values == sorted(values)
        assert (
            driver.find_element("css selector", '[data-key="psnr"]')
            .find_element("xpath", "..")
            .get_attribute("aria-sort")
            == "ascending"
        )
        driver.find_element("css selector", '[data-key="psnr"]').click()
        values = [float(c.text) for c in driver.find_elements("css selector", "#cliptable tbody td:nth-child(3)")]
        assert values == sorted(values, reverse=True)
        driver.find_element("css selector", '[data-key="lmd"]').click()
        assert driver.find_elements("css selector", "#cliptable tbody td:nth-child(4)")[-1].text == "–", (
            "what has no value comes last"
        )
        driver.find_element("id", "failed").click()
        assert [r.split()[0] for r in rows(driver)] == ["clip000"]
        assert "1 of 12 clips" in driver.find_element("id", "count").text
        driver.find_element("id", "failed").click()
        Select(driver.find_element("id", "worst")).select_by_visible_text("10 worst")
        assert len(rows(driver)) == 10
        worst = sorted(zip(BASE, range(12), strict=True))[:10]
        shown = {r.split()[0] for r in rows(driver)}
        assert {f"clip{i:03d}" for _, i in worst if i < 11} <= shown
        Select(driver.find_element("id", "worst")).select_by_index(0)
        driver.find_element("id", "search").send_keys("clip00")
        assert len(rows(driver)) == 10
        assert problems(driver) == []


def test_themes(page: Path) -> None:
    with browser() as driver:
        driver.get(page.as_uri())
        colour = "return getComputedStyle(document.body).backgroundColor"
        first = driver.execute_script(colour)
        driver.find_element("id", "theme").click()
        assert driver.execute_script(colour) != first
        assert driver.find_element("id", "theme").get_attribute("aria-pressed") in {"true", "false"}


def test_everything_has_a_name_for_a_screen_reader(page: Path) -> None:
    with browser() as driver:
        driver.get(page.as_uri())
        bad = driver.execute_script(
            "return [...document.querySelectorAll('select, input')].filter((e) => !e.closest('label')).length"
            " + [...document.querySelectorAll('[role=img]')].filter((e) => !e.getAttribute('aria-label')).length"
            " + [...document.querySelectorAll('button')].filter((e) => !e.textContent.trim()).length"
        )
        assert bad == 0
        assert driver.execute_script("return document.documentElement.lang") == "en"
        assert len(driver.find_elements("css selector", "th:not([scope])")) == 0


def test_200_clips_stay_small_and_open_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ("psnr", "ssim", "lmd", "lse_c", "lse_d")
    runs = [run(f"method {k}", {m: list(rng.normal(10, 1, 200)) for m in names}) for k in range(3)]
    many = {c.id: {m: rng.normal(10, 1, 250) for m in names} for c in runs[0].clips}
    index = write_page(runs, [many] * 3, tmp_path / "p", [no_media] * 3)
    assert sum(f.stat().st_size for f in index.parent.rglob("*") if f.is_file()) < 20_000_000
    with browser() as driver:
        driver.get(index.as_uri())
        assert len(rows(driver)) == 200
        before = driver.execute_script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
        loaded = driver.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
        print(f"first paint after {before:.0f} ms, loaded after {loaded:.0f} ms")
        asked = driver.execute_script(
            "return performance.getEntriesByType('resource').map((e) => [e.name, e.startTime])"
        )
        library = [start for name, start in asked if name.endswith("plotly.min.js")]
        assert all(start > before for start in library), "the plots' library does not hold up the first view"


def test_a_long_list_is_drawn_as_it_is_scrolled(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(10, 1, 450)
    runs = [run(name, {"psnr": list(values + k * np.arange(450))}) for k, name in enumerate("ab")]
    index = write_page(runs, [{}, {}], tmp_path / "p", [no_media] * 2)
    with browser() as driver:
        driver.get(index.as_uri())

        def drawn() -> int:
            return len(driver.find_elements("css selector", "#cliptable tr[data-clip]"))

        assert drawn() == 200 and "450 of 450" in driver.find_element("id", "count").text
        driver.execute_script("document.querySelector('#cliptable .more button').click()")
        assert drawn() == 400
        driver.execute_script(
            "const box = document.getElementById('cliptable').parentNode; box.scrollTop = box.scrollHeight"
        )
        until(lambda: drawn() == 450, "the last rows")
        assert not driver.find_elements("css selector", "#cliptable .more")
        driver.execute_script("document.getElementById('most').click()")
        first = driver.find_element("css selector", "#cliptable tbody td:last-child").text
        assert drawn() == 200 and float(first) == -449, "sorted over all clips, not over those that were drawn"


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="different names"):
        write_page([], [], tmp_path / "p", [])
    one = run("a", {"psnr": [1.0]})
    with pytest.raises(UsageError, match="different names"):
        write_page([one, one], [{}, {}], tmp_path / "p", [])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert cli(["report", str(tmp_path / "nothing"), "--out", str(tmp_path / "q")]) == 2


def test_from_score_to_page_with_videos(tmp_path: Path) -> None:
    gen, gt = pair_folders(tmp_path, ("a",), n=6)
    assert cli(["score", str(gen), str(gt), "--metrics", "psnr,lmd", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert cli(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page")]) == 0
    media = {f.name: f.stat().st_size for f in (tmp_path / "page" / "media").iterdir()}
    assert set(media) == {f"000000-{who}.{kind}" for who in ("real", "0") for kind in ("js", "jpg")}
    assert media["000000-real.js"] > 1000
    assert cli(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page")]) == 0, "a page may be made again"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert cli(["report", str(tmp_path / "run"), "--out", str(tmp_path / "mine")]) == 2
    with browser() as driver:
        driver.get((tmp_path / "page" / "index.html").as_uri())
        ready = "return [...document.querySelectorAll('video')].map((v) => v.readyState >= 2)"
        until(lambda: driver.execute_script(ready) == [True, True], "the previews, playable in the browser")


def scored(tmp_path: Path) -> Path:
    gen, gt = pair_folders(tmp_path, ("a",), n=6)
    line = ["score", str(gen), str(gt), "--metrics", "psnr", "--protocol", "raw", "--out", str(tmp_path / "run")]
    assert cli([*line, "--quiet", "--no-cache"]) == 0
    return tmp_path / "run" / "results.json"


def test_only_videos_of_the_runs_own_folders_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A results.json of a stranger names any video of this machine: a page with it may be passed on."""
    file = scored(tmp_path)
    secret = tmp_path / "private" / "secret.mkv"
    secret.parent.mkdir()
    secret.write_bytes((tmp_path / "gen" / "a.mkv").read_bytes())
    data = json.loads(file.read_text())
    data["clips"][0]["gen"] = "../gen/../private/secret.mkv"
    file.write_text(json.dumps(data))
    assert cli(["report", str(file.parent), "--out", str(tmp_path / "page")]) == 0
    err = capsys.readouterr().err
    assert "outside the run's folders" in err and "--videos-from" in err
    assert not list((tmp_path / "page" / "media").iterdir())
    line = ["report", str(file.parent), "--out", str(tmp_path / "page"), "--videos-from", str(secret.parent)]
    assert cli(line) == 0
    assert len(list((tmp_path / "page" / "media").iterdir())) == 4
    (tmp_path / "gen" / "link.mkv").symlink_to(secret)
    data["clips"][0]["gen"] = "../gen/link.mkv"
    file.write_text(json.dumps(data))
    assert cli(["report", str(file.parent), "--out", str(tmp_path / "other")]) == 0
    assert not list((tmp_path / "other" / "media").iterdir()), "a link out of the folder is no way round"
    data["data"]["gen"] = "/"
    file.write_text(json.dumps(data))
    assert cli(["report", str(file.parent), "--out", str(tmp_path / "root")]) == 0
    assert not list((tmp_path / "root" / "media").iterdir()), "the whole disk is no folder of a run"
    monkeypatch.setenv("HOME", str(secret.parent))
    data["data"]["gen"] = str(tmp_path)
    file.write_text(json.dumps(data))
    assert cli(["report", str(file.parent), "--out", str(tmp_path / "home")]) == 0
    assert not list((tmp_path / "home" / "media").iterdir()), "nor is one that holds a home"


def test_missing_videos_are_told_at_once_and_strangers_folders_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = scored(tmp_path)
    (tmp_path / "gen" / "a.mkv").unlink()
    assert cli(["report", f"{file.parent}=ours", "--out", str(tmp_path / "page")]) == 0
    assert "ours: 1 clips are shown without videos, which are not there any more" in capsys.readouterr().err
    (tmp_path / "site" / "data").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("<title>my home page</title>")
    assert cli(["report", str(file.parent), "--out", str(tmp_path / "site")]) == 2
    assert (tmp_path / "site" / "index.html").read_text() == "<title>my home page</title>"


def test_a_page_tells_runs_of_one_name_apart_and_prints_no_negative_zero(tmp_path: Path) -> None:
    runs = [run("gen", {"psnr": [v], "av_offset": [-0.01]}, gen=f"/w/ckpt{k}/gen") for k, v in enumerate((30.0, 31.0))]
    told = []
    index = write_page(runs, [{}, {}], tmp_path / "p", [no_media] * 2, lambda n, m: told.append((n, m)))
    assert told == [(1, 1)]
    with browser() as driver:
        driver.get(index.as_uri())
        text = driver.find_element("id", "summary").text
        assert "ckpt0/gen" in text and "ckpt1/gen" in text
        assert "-0.0" not in text and "mean of absolute values: 0.0" in text


def test_nothing_is_left_of_a_page_from_before_the_mark(tmp_path: Path) -> None:
    for name, text in (
        ("index.html", "<title>lipsync-eval report</title>"),
        ("data/run.js", ""),
        ("media/old.mp4", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    pages(tmp_path, clips=2)
    assert not (tmp_path / "media" / "old.mp4").exists() and (tmp_path / "data" / "run.js").read_text()


def test_one_cause_is_said_once_for_all_metrics_it_took(tmp_path: Path) -> None:
    lost = run("lost", {"psnr": [30.0], "lmd": [None], "f_lmd": [None]})
    folder = write_page([lost], [{}], tmp_path / "page", [no_media]).parent
    page = "".join(p.read_text() for p in sorted(folder.rglob("*.js")))
    assert "metric: lmd, f_lmd: made up" in page
    assert page.count("lmd: made up") == 1


def test_one_job_makes_a_page_and_a_killed_one_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, page = scored(tmp_path), tmp_path / "page"
    page.mkdir()
    with Lock(page / ".lock"):
        assert cli(["report", str(file.parent), "--out", str(page), "--quiet"]) == 2
    assert "another job makes a page there" in capsys.readouterr().err and not any(page.iterdir())

    class Killed(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("lipsync_eval.reports.page.make_previews", stop)
        cli(["report", str(file.parent), "--out", str(page), "--quiet"])
    assert "not finished" in (page / "index.html").read_text("utf-8")
    assert cli(["report", str(file.parent), "--out", str(page), "--quiet"]) == 0
    assert "not finished" not in (page / "index.html").read_text("utf-8")
    assert len(list((page / "media").iterdir())) == 4 and not list(page.glob(".*"))
