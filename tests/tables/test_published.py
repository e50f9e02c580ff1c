from __future__ import annotations

import pytest

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.layout import get_layout
from lipsync_eval.reports.published import KEYS, REMARKS, facts, listing, rows, select
from lipsync_eval.reports.table import TableRow, build

# RADIO's table 1 as the paper prints it (row: underlined columns; starred columns). Bold is lost in the text that is left
# of the paper, but its own words give it: best of all on PSNR, MS-SSIM, LPIPS, LMD; Wav2Lip best on Sync-C and Sync-D.
UNDERLINED = {
    "HDTF": {
        "psnr": "IP-LAP",
        "ms_ssim": "IP-LAP",
        "lpips": "IP-LAP",
        "lse_c": "PC-AVS",
        "lse_d": "PC-AVS",
        "lmd_norm": "DINet",
    },
    "VoxCeleb2": {
        "psnr": "IP-LAP",
        "ms_ssim": "IP-LAP",
        "lpips": "IP-LAP",
        "lse_c": "PC-AVS",
        "lse_d": "PC-AVS",
        "lmd_norm": "Wav2Lip",
    },
}
BOLD = dict.fromkeys(("psnr", "ms_ssim", "lpips", "lmd_norm"), "RADIO") | {"lse_c": "Wav2Lip", "lse_d": "Wav2Lip"}
STARRED = {
    ("HDTF", "lse_c"): "RADIO",
    ("HDTF", "lse_d"): "RADIO",
    ("VoxCeleb2", "lse_c"): "RADIO",
    ("VoxCeleb2", "lse_d"): "RADIO",
}


def marked(kind: str, table_rows: tuple[TableRow, ...], place: tuple[str, str]) -> list[str]:
    return [r.method for r in table_rows if getattr(r.cells[place], kind)]


@pytest.mark.parametrize("dataset", ["HDTF", "VoxCeleb2"])
def test_radio_table_1_follows_from_its_values(dataset: str) -> None:
    table = build([], select("radio"), layout=get_layout("radio"))
    assert [r.method for r in table.rows] == [
        "GT",
        "ATVGNet",
        "MakeItTalk",
        "PC-AVS",
        "Wav2Lip",
        "DINet",
        "IP-LAP",
        "RADIO",
    ]
    for metric in BOLD:
        assert marked("best", table.rows, (dataset, metric)) == [BOLD[metric]]
        assert marked("second", table.rows, (dataset, metric)) == [UNDERLINED[dataset][metric]]
    for metric in ("lse_c", "lse_d"):
        expected = "PC-AVS" if (dataset, metric) == ("HDTF", "lse_c") else STARRED[dataset, metric]
        assert marked("star", table.rows, (dataset, metric)) == [expected]


def test_personatalks_columns_are_the_papers() -> None:
    """Order and headings of its table 1; its LMD is the normalised one, as RADIO's."""
    table = build([], select("personatalk"), layout=get_layout("personatalk"))
    assert [c.heading for c in table.columns] == [
        "SSIM",
        "PSNR",
        "FID",
        "LMD",
        "SyncScore",
        "LPIPS",
        "CSIM",
        "StyleSim",
    ]
    assert [c.metric for c in table.columns][3] == "lmd_norm"
    assert any(note.startswith("LMD: normalised") for note in table.footnotes)
    assert {r.metric for r in rows() if "lmd" in r.metric and r.key in {"radio", "personatalk"}} == {"lmd_norm"}
    assert {r.metric for r in rows() if "lmd" in r.metric and r.key in {"avhubert-expert", "stylesync"}} == {"lmd"}


def test_radios_ablation_tables() -> None:
    for name, best in (("radio/Table 2", "D + fidelity mapping w/ ViT"), ("radio/Supplement Table 1", "ViT(2,2)")):
        table = build([], select(name), layout=get_layout("radio-ablation"))
        assert [c.heading for c in table.columns] == ["PSNR", "LPIPS", "Sync"]
        assert {m for c in table.columns for m in marked("best", table.rows, (c.dataset, c.metric))} == {best}


def test_tables_that_are_not_here_are_named() -> None:
    lines = [line for line in listing() if "not here" in line]
    assert [line.split("  ")[0].strip() for line in lines] == ["personatalk/Table 2", "personatalk/Table 4"]
    with pytest.raises(
        UsageError, match=r"no 'Table 2' here \(comparison with SyncTalk: .*there are: Table 1, Table 3"
    ):
        select("personatalk/Table 2")


def test_the_one_star_that_differs_is_explained() -> None:
    table = build([], select("radio"), layout=get_layout("radio"))
    assert any("0.344" in note and "PC-AVS" in note for note in table.footnotes)
    assert any("another protocol" in note for note in table.footnotes)
    assert ("radio", "Table 1") in REMARKS
    other = build([], select("stylesync"), layout=get_layout("stylesync"))
    assert not any("0.344" in note for note in other.footnotes)


def test_the_data_is_whole() -> None:
    assert len(rows()) == 499
    assert {r.key for r in rows()} == set(KEYS)
    places = [(r.key, r.table, r.dataset, r.method, r.metric) for r in rows()]
    assert len(set(places)) == len(places)
    assert all(r.method and r.metric and r.dataset for r in rows())


@pytest.mark.parametrize(
    ("key", "dataset", "metric", "best"),
    [
        ("personatalk", "HDTF", "ssim", "PersonaTalk"),
        ("personatalk", "HDTF", "lse_c", "Wav2Lip"),
        ("personatalk", "HDTF", "stylesim", "PersonaTalk"),
        ("avhubert-expert", "LRS2", "avs_u", "TalkLip"),
        ("avhubert-expert", "LRS2", "avs_v", "Yaman et al."),
        ("stylesync", "LRW", "psnr", "StyleSync-P"),
    ],
)
def test_best_of_the_other_papers(key: str, dataset: str, metric: str, best: str) -> None:
    table = build([], select(key))
    assert marked("best", tuple(r for r in table.rows if (dataset, metric) in r.cells), (dataset, metric)) == [best]


def test_listing_and_facts() -> None:
    assert any(line.startswith("radio/Table 2") for line in listing())
    found = facts("radio")
    assert found is not None and "RADIO" in found["methods"]
    assert facts("nobody") is None
    with pytest.raises(UsageError, match="there are: radio"):
        select("nobody")
    with pytest.raises(UsageError, match="Table 1, Table 2"):
        select("radio/Table 9")
    assert {r.table for r in select("radio/Table 2")} == {"Table 2"}
