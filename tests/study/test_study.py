from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.browser import browser, problems, requests
from support.clips import frames, sound, write
from support.runs import run
from support.waiting import until

from lipsync_eval.cli import run as cli
from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.reports.study import (
    REAL,
    collect,
    krippendorff_alpha,
    make_items,
    read_answers,
    read_key,
    write_study,
)

NAN = float("nan")


def test_alpha_of_krippendorffs_own_example() -> None:
    """The 4 observers x 12 units example of his 2011 paper: alpha on the interval scale is 0.849."""
    data = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
            [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
        ]
    )
    assert krippendorff_alpha(data) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha(np.array([[1.0, 2, 5], [1, 2, 5]])) == 1.0
    assert krippendorff_alpha(np.array([[3.0, 3], [3, 3]])) is None
    assert krippendorff_alpha(np.array([[1.0, 2, 3]])) is None


def study(tmp_path: Path, clips: int = 4, with_real: bool = True) -> tuple[Path, dict[str, object]]:
    runs = [run("wav2lip", {"psnr": [1.0] * clips}), run("<b>mine</b>", {"psnr": [1.0] * clips})]
    items = make_items(runs, seed=3, with_real=with_real)
    write_study(
        items,
        tmp_path / "study",
        questions=["sync", "visual"],
        seed=3,
        encode=lambda video, target: target.write_bytes(b"x") and None,
    )
    return tmp_path / "study", read_key(tmp_path / "study" / "key.json")


def test_the_page_is_blind(tmp_path: Path) -> None:
    folder, key = study(tmp_path)
    assert len(key["items"]) == 12  # type: ignore[arg-type]
    assert key["methods"] == ["wav2lip", "<b>mine</b>", REAL]
    for file in (folder / "page").rglob("*"):
        assert "wav2lip" not in file.name
        if file.suffix in {".js", ".html", ".css"}:
            text = file.read_text("utf-8")
            assert "wav2lip" not in text
            assert "mine" not in text
            assert "clip000" not in text
    assert not list((folder / "page").rglob("key*"))


def rate(
    driver: object, folder: Path, number: int, scores: dict[str, dict[str, int]], downloads: Path
) -> tuple[list[str], dict[str, object]]:
    """Fill the page in as rater `number`; returns the order of items and the saved file."""
    key = json.loads((folder / "key.json").read_text())
    driver.get((folder / "page" / "index.html").as_uri())  # type: ignore[attr-defined]
    find = driver.find_element  # type: ignore[attr-defined]
    find("id", "rater").send_keys(str(number))
    find("css selector", "#begin button").click()
    order = []
    for _ in key["items"]:
        item = find("id", "video").get_attribute("src").rsplit("/", 1)[1].removesuffix(".mp4")
        order.append(item)
        for question in key["questions"]:
            score = scores[key["items"][item]["method"]][question]
            find("css selector", f"input[name={question}][value='{score}']").click()
        find("css selector", "#answers button").click()
    path = downloads / f"answers-{key['study']}-rater{number}.json"
    until(path.exists, path.name)
    return order, json.loads(path.read_text())


def test_a_study_from_page_to_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, key = study(tmp_path)
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    given = {
        1: {
            "wav2lip": {"sync": 4, "visual": 2},
            "<b>mine</b>": {"sync": 5, "visual": 4},
            REAL: {"sync": 5, "visual": 5},
        },
        2: {
            "wav2lip": {"sync": 3, "visual": 1},
            "<b>mine</b>": {"sync": 4, "visual": 4},
            REAL: {"sync": 5, "visual": 5},
        },
        3: {
            "wav2lip": {"sync": 4, "visual": 3},
            "<b>mine</b>": {"sync": 4, "visual": 5},
            REAL: {"sync": 5, "visual": 4},
        },
    }
    orders = []
    with browser(downloads) as driver:
        for number, scores in given.items():
            order, saved = rate(driver, folder, number, scores, downloads)
            assert saved["rater"] == number
            orders.append(order)
        asked = [a for a in requests(driver) if not a.startswith(("data:", "blob:"))]
        assert all(a.startswith(folder.as_uri()) for a in asked)
        assert [p for p in problems(driver) if "videos/" not in p] == []
    assert len({tuple(o) for o in orders}) == 3, "raters have orders of their own"
    items: dict[str, dict[str, str]] = key["items"]  # type: ignore[assignment]
    for order in orders:
        assert sorted(order) == sorted(items)
        for block in range(3):
            part = order[4 * block : 4 * block + 4]
            assert len({items[i]["clip"] for i in part}) == 4, "each clip once a block"
            assert max(Counter(items[i]["method"] for i in part).values()) <= 2, "methods rotate within a block"
    files = sorted(map(str, downloads.glob("*.json")))
    assert cli(["study", "collect", str(folder / "key.json"), *files, "--out", str(tmp_path / "mos")]) == 0
    out = capsys.readouterr().out
    assert "3 raters" in out
    expected = {m: {q: np.mean([given[r][m][q] for r in given]) for q in ("sync", "visual")} for m in given[1]}
    for result in collect(key, [o for f in files for o in read_answers(Path(f), key)]):
        for q in ("sync", "visual"):
            assert result[f"mos_{q}"].value == pytest.approx(expected[result.run.name][q])
            alpha = result[f"mos_{q}"].details["krippendorff_alpha"]
            assert 0.3 < alpha < 1
    assert cli(["table", *map(str, sorted((tmp_path / "mos").iterdir()))]) == 0
    table = capsys.readouterr().out
    assert "Sync MOS" in table
    truth = next(line for line in table.splitlines() if line.startswith(REAL))
    assert "5.00" in truth and "*" not in truth and "_" not in truth, "real videos are shown and not ranked"
    assert "**5.00**" not in table and "**4.33**" in table


def test_bad_answers_are_refused(tmp_path: Path) -> None:
    _, key = study(tmp_path)
    good = {
        "study": key["study"],
        "rater": 1,
        "answers": [{"item": i, "question": q, "score": 3} for i in key["items"] for q in ("sync", "visual")],
    }  # type: ignore[attr-defined]
    path = tmp_path / "a.json"

    def refused(data: object, words: str) -> None:
        path.write_text(json.dumps(data))
        with pytest.raises(ParseError, match=words):
            read_answers(path, key)

    path.write_text(json.dumps(good))
    opinions = read_answers(path, key)
    assert len(opinions) == 24
    refused({**good, "study": "other"}, "answers of study")
    refused({**good, "answers": good["answers"][1:]}, "did not finish")
    refused({**good, "answers": [*good["answers"], good["answers"][0]]}, "each item and question once")
    refused({**good, "answers": [{**good["answers"][0], "score": 6}]}, "1 to 5")
    refused({**good, "answers": [{**good["answers"][0], "item": "x"}]}, "no answer of this study")
    refused([], "JSON object")
    with pytest.raises(UsageError, match="came twice"):
        collect(key, opinions * 2)
    with pytest.raises(UsageError, match="no answers"):
        collect(key, [])


def test_bad_studies_are_refused(tmp_path: Path) -> None:
    one = run("a", {"psnr": [1.0]})
    for runs in ([], [one, one], [run(REAL, {"psnr": [1.0]})]):
        with pytest.raises(UsageError, match="different names"):
            make_items(runs, seed=1, with_real=True)
    assert make_items([run(REAL, {"psnr": [1.0]})], seed=1, with_real=False)[0].method == REAL
    with pytest.raises(UsageError, match="no clip"):
        make_items([one, run("b", {"psnr": [1.0]}, ids=["else"])], seed=1, with_real=False)
    with pytest.raises(UsageError, match="unknown"):
        write_study(
            make_items([one], seed=1, with_real=False),
            tmp_path / "s",
            questions=["taste"],
            seed=1,
            encode=lambda a, b: None,
        )
    assert len(make_items([run("a", {"psnr": [1.0] * 9})], seed=1, with_real=False, most=4)) == 4


def test_videos_are_made_alike(tmp_path: Path) -> None:
    real = list(frames(4))
    write(tmp_path / "gt" / "a.mkv", real, sound(4))
    write(tmp_path / "gen" / "a.mkv", real, sound(4))
    assert (
        cli(
            [
                "score",
                str(tmp_path / "gen"),
                str(tmp_path / "gt"),
                "--protocol",
                "raw",
                "--metrics",
                "psnr",
                "--out",
                str(tmp_path / "r"),
                "--quiet",
            ]
        )
        == 0
    )
    line = ["study", str(tmp_path / "r"), "--out", str(tmp_path / "s"), "--with-real"]
    assert cli(line) == 0
    assert len(list((tmp_path / "s" / "page" / "videos").glob("*.mp4"))) == 2
    assert cli(line) == 2, "a study is never written over"


def test_malformed_answers_never_end_in_a_traceback(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data / "faults" / "metrics" / "study-answers-traceback" / "ST"
    good = {"flt.json", "int.json", "ok1.json", "ok2.json", "space.json"}
    for path in sorted(folder.glob("*.json")):
        code = cli(["study", "collect", str(folder / "key.json"), str(path)])
        assert code == (0 if path.name in good else 2), path.name
        if code:
            assert path.name in capsys.readouterr().err
    assert cli(["study", "collect", str(folder / "key2.json"), str(folder / "ok1.json")]) == 2


def test_answers_survive_a_reload(tmp_path: Path) -> None:
    folder, key = study(tmp_path, clips=2, with_real=False)
    page = (folder / "page" / "index.html").as_uri()
    with browser(tmp_path) as driver:
        driver.get(page)
        find = driver.find_element
        assert not find("id", "resume").is_displayed()
        find("id", "rater").send_keys("7")
        find("css selector", "#begin button").click()
        for _ in range(2):
            for question in key["questions"]:  # type: ignore[attr-defined]
                find("css selector", f"input[name={question}][value='4']").click()
            find("id", "watched").click()
            find("css selector", "#answers button").click()
        driver.refresh()
        assert "Rater 7 has rated 2 videos" in find("id", "resume").text
        find("id", "continue").click()
        assert find("id", "where").text == "Video 3 of 4"
        for watched in (True, False):
            for question in key["questions"]:  # type: ignore[attr-defined]
                find("css selector", f"input[name={question}][value='2']").click()
            if watched:
                find("id", "watched").click()
            find("css selector", "#answers button").click()
        path = tmp_path / f"answers-{key['study']}-rater7.json"
        until(path.exists, path.name)
        opinions = read_answers(path, key)
        assert len(opinions) == 8
        assert sum(not o.watched for o in opinions) == 2
        driver.get(page)
        assert not find("id", "resume").is_displayed(), "a finished rater is forgotten"


def test_the_help_shows_the_options_of_make(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["study", "-h"]) == 0
    out = capsys.readouterr().out
    assert "--questions" in out and "--with-real" in out and "collect" in out


def test_missing_videos_are_named_and_a_broken_study_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "results.json").write_text(run("a", {"psnr": [1.0] * 2}).to_json())
    line = ["study", str(tmp_path / "a"), "--out", str(tmp_path / "s")]
    assert cli(line) == 2
    assert "2 of 2 videos are not where they were scored" in capsys.readouterr().err
    assert not (tmp_path / "s").exists(), "nothing was begun"
    clip = write(tmp_path / "clip.mkv", list(frames(4)), sound(4))
    held = run("a", {"psnr": [1.0] * 2})
    clips = [
        held.clips[0].model_copy(update={"gen": str(clip)}),
        held.clips[1].model_copy(update={"gen": str(tmp_path / "bad.mkv")}),
    ]
    (tmp_path / "bad.mkv").write_bytes(b"no video")
    (tmp_path / "a" / "results.json").write_text(held.model_copy(update={"clips": clips}).to_json())
    assert cli(line) == 3, "the second video cannot be read"
    (tmp_path / "bad.mkv").write_bytes(clip.read_bytes())
    assert cli(line) == 0, "the half that was made is made again"
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["key.json", "page"]
    assert cli(line) == 2, "a whole study is never written over"
