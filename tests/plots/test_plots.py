from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.runs import noisy, run

from lipsync_eval.cli import run as cli
from lipsync_eval.errors import UsageError
from lipsync_eval.reports.plot_files import save
from lipsync_eval.reports.plots import KINDS, draw
from lipsync_eval.reports.unlike import unlike
from lipsync_eval.results.schema import load_result

BASE = list(np.random.default_rng(0).normal(30, 3, 12))
LMD = list(np.random.default_rng(1).uniform(1, 3, 12))


def runs(n: int = 3) -> list:  # type: ignore[type-arg]
    return [
        run(
            f"method_{k} $x_1$", {"psnr": noisy(BASE, -k, k), "lmd": noisy(LMD, k, k), "lse_d": noisy([8.0] * 12, k, k)}
        )
        for k in range(n)
    ]


def frames(count: int) -> list:  # type: ignore[type-arg]
    rng = np.random.default_rng(2)
    one = {
        "psnr": rng.normal(30, 1, 40),
        "lmd": np.where(np.arange(40) < 5, np.nan, 2.0),
        "lse_d": rng.normal(8, 1, 35),
        "syncnet_distance": rng.uniform(8, 12, 31),
    }
    return [{f"clip{i:03d}": one for i in range(12)} for _ in range(count)]


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("count", [1, 12])
def test_every_kind_is_drawn(tmp_path: Path, kind: str, count: int) -> None:
    png, pdf = save(draw(kind, runs(count), None, frames(count)), tmp_path / "deep" / "figure.v2")
    assert png.name == "figure.v2.png"
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")
    import cv2

    picture = cv2.imread(str(png))
    assert picture is not None
    assert picture.shape[1] >= 900, "300 dpi over a column"
    assert picture.std() > 5, "something is drawn"


def test_bars_show_means_and_intervals() -> None:
    given = runs(2)
    figure = draw("bars", given, ["psnr"], [])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([r["psnr"].value for r in given])
    assert figure.axes[0].get_title() == "PSNR (dB) ↑"


def test_curves_skip_frames_without_a_value() -> None:
    figure = draw("curve", runs(1), ["lmd"], frames(1))
    y = np.asarray(figure.axes[0].lines[0].get_ydata(), float)
    assert np.isnan(y[:5]).all()
    assert (y[5:] == 2.0).all()


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(UsageError, match="1 to 40"):
        draw("bars", [], None, [])
    with pytest.raises(UsageError, match="at least three"):
        draw("radar", runs(2), ["psnr", "lmd"], [])
    with pytest.raises(UsageError, match="SyncNet distances"):
        draw("offset", runs(1), None, [{}])
    with pytest.raises(UsageError, match="no values of ssim"):
        draw("bars", runs(1), ["ssim"], [])
    with pytest.raises(UsageError, match="nothing to draw"):
        draw("box", [run("a", {"psnr": [None]})], None, [])


def test_a_run_without_the_metric_is_no_bar_of_0() -> None:
    axes = draw("bars", [run("a", {"psnr": BASE, "lmd": LMD}), run("b", {"psnr": BASE})], ["lmd"], []).axes[0]
    assert len(axes.patches) == 1 and [t.get_text() for t in axes.texts] == ["none"]
    assert axes.get_xlim()[0] < -0.4 and axes.get_xlim()[1] > 1.4


def test_runs_that_cannot_be_compared_are_drawn_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [run("a", {"psnr": BASE, "lmd": LMD}), run("b", {"psnr": BASE, "lmd": LMD}, proto="raw.1", data="elsewhere")]
    assert unlike(both) == [
        "a and b: psnr, lmd were not measured the same way (proto: radio.1 | raw.1)",
        "a and b were not scored against the same real videos",
    ]
    assert unlike([both[0], run("c", {"psnr": [*BASE[:-1], None]})]) == [], "n is not compared"
    for r in both:
        (tmp_path / r.run.name).mkdir()
        (tmp_path / r.run.name / "results.json").write_text(r.to_json())
    assert cli(["plot", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "p")]) == 0
    assert f"warning: {unlike(both)[0]}\n" in capsys.readouterr().err


def test_the_command(tmp_path: Path) -> None:
    for r in runs(2):
        (tmp_path / r.run.name).mkdir()
        (tmp_path / r.run.name / "results.json").write_text(r.to_json())
    paths = [str(tmp_path / r.run.name) for r in runs(2)]
    assert cli(["plot", *paths, "--kind", "box", "--out", str(tmp_path / "box")]) == 0
    assert (tmp_path / "box.pdf").exists()
    assert cli(["plot", *paths, "--kind", "curve", "--out", str(tmp_path / "x")]) == 2, "no frames.npz there"
    assert cli(["plot", str(tmp_path / "none")]) == 2


def test_every_drawn_method_is_in_the_legend(data: Path) -> None:
    """matplotlib drops labels that begin with '_'; the first panel need not hold every run."""
    three = [
        run("A", {"psnr": BASE, "lmd": LMD}),
        run("B", {"lmd": LMD}),
        run("_C", {"psnr": BASE, "lmd": LMD}),
    ]
    figure = draw("curve", three, None, frames(3))
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["A", "B", "_C"]
    folder = data / "faults" / "metrics" / "legend-drops-methods" / "PL"
    loaded = [load_result(p.parent) for p in sorted(folder.glob("*/results.json"))]
    (legend,) = draw("radar", loaded, None, []).legends
    assert len(legend.get_texts()) == 4


def test_long_names_stay_different_and_inside(tmp_path: Path) -> None:
    names = [f"a method with an extremely long name (checkpoint {k}00000)" for k in range(3)]
    long = [run(n, {"psnr": BASE, "lmd": LMD, "lse_d": LMD}) for n in names]
    figure = draw("radar", long, None, [])
    (legend,) = figure.legends
    assert len({t.get_text() for t in legend.get_texts()}) == 3
    figure.canvas.draw()
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, "the legend is not cut off"


def test_the_real_line_is_over_every_real_clip() -> None:
    full = run("full", {"lse_d": [8.0, 9.0]}, gt_values={"lse_d": [6.0, 8.0]})
    part = run("part", {"lse_d": [8.0, None]}, gt_values={"lse_d": [6.0, 8.0]})
    del part.clips[1].gt_values["lse_d"]
    for order in ([full, part], [part, full]):
        lines = [
            line.get_ydata()[0]
            for line in draw("bars", order, ["lse_d"], []).axes[0].lines
            if line.get_linestyle() == "--"
        ]
        assert lines == [7.0]


def test_an_offset_is_drawn_with_the_mean_of_absolute_values() -> None:
    axes = draw("bars", [run("a", {"av_offset": [5.0, -5.0]})], None, []).axes[0]
    assert [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "D"] == [5.0]
    assert "mean of absolute values" in axes.get_title()


def test_another_plot_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "results.json").write_text(run("a", {"psnr": BASE}).to_json())
    (tmp_path / "fig.pdf").write_text("all my work")
    line = ["plot", f"{tmp_path / 'a'}=b", "--out", str(tmp_path / "fig")]
    assert cli(line) == 2
    assert (tmp_path / "fig.pdf").read_text() == "all my work" and not (tmp_path / "fig.png").exists()
    assert cli([*line, "--overwrite"]) == 0
    assert (tmp_path / "fig.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_plot_spans_the_columns_that_are_asked_for(tmp_path: Path, kind: str) -> None:
    for columns, inches in ((1, 3.4), (2, 7.0)):
        figure = draw(kind, runs(4), None, frames(4), columns)
        assert figure.get_figwidth() == inches
        _, pdf = save(figure, tmp_path / f"{kind}{columns}")
        assert b"/FontFile2" in pdf.read_bytes(), "fonts are embedded"
        assert b"/Type3" not in pdf.read_bytes()


@pytest.mark.parametrize("kind", ["bars", "box", "curve"])
def test_every_panel_shows_the_real_value_and_who_is_missing(kind: str) -> None:
    truth = {"lse_d": [7.0] * 12, "psnr": [41.0] * 12}
    both = [run("a", {"psnr": BASE, "lse_d": LMD}, gt_values=truth), run("b", {"psnr": BASE}, gt_values=truth)]
    figure = draw(kind, both, ["psnr", "lse_d"], frames(2))
    levels = [[line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"] for axes in figure.axes[:2]]
    assert [41.0 in levels[0], 7.0 in levels[1]] == [True, True]
    for axes in figure.axes[:2]:
        assert "real" in [t.get_text() for t in axes.texts]
        low, high = axes.get_ylim()
        assert all(low <= v <= high for v in (41.0 if "PSNR" in axes.get_title() else 7.0,)), "the line is in view"
    if kind != "curve":
        assert "none" in [t.get_text() for t in figure.axes[1].texts]


def test_columns_on_the_command_line(tmp_path: Path) -> None:
    import cv2

    one = runs(1)[0]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "results.json").write_text(one.to_json())
    assert cli(["plot", str(tmp_path / "a"), "--columns", "2", "--out", str(tmp_path / "p")]) == 0
    image = cv2.imread(str(tmp_path / "p.png"))
    assert image is not None and image.shape[1] == 2100
    assert cli(["plot", str(tmp_path / "a"), "--columns", "3", "--out", str(tmp_path / "q")]) == 2
