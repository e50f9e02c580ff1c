"""A signature says what was done and no more: it changes if and only if the number can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from support.clips import blurred, frames, sound, write
from support.face_clips import clip_of, head, scene
from support.scoring import score

from lipsync_eval.engine.tools import open_tools
from lipsync_eval.metrics.helpers.real_stats import PREFIX
from lipsync_eval.metrics.registry import declared_options, family_of, specs
from lipsync_eval.results.schema import Result
from lipsync_eval.results.signature import difference, format_signature, parse_signature
from lipsync_eval.settings import RUN_OPTIONS, Settings
from lipsync_eval.version import READING
from lipsync_eval.weights.registry import MAIN, rows

NEEDS = {name: spec.needs for name, spec in specs().items()}
ALL = frozenset(
    name
    for name in specs()
    if name != "sync_cosine" and ("blendshapes" not in name or find_spec("mediapipe") is not None)
)
"""sync_cosine's signature takes a trained checkpoint: tests/radio/test_sync_metric.py."""


def of(*words: str) -> frozenset[str]:
    """Metrics that need one of these, by their specs."""
    return frozenset(m for m in ALL if NEEDS[m] & set(words))


def named(*prefixes: str) -> frozenset[str]:
    return frozenset(m for m in ALL if m.startswith(prefixes))


CROP = of("gen.crop", "gt.crop")
FACES = CROP | of("gen.points", "gt.points")
"""Under `radio`, whose crop follows landmarks."""
LSE = frozenset({"lse_c", "lse_d", "av_offset"})
NETWORKS = named("lpips", "fid", "fvd_", "lse_", "av_offset", "avs_", "softdtw_avhubert", "csim", "lip_expert_") - {
    "lse_c_s",
    "lse_d_s",
}
"""Those that run a network in the format of device.computing. (ArcFace's file is a torch checkpoint here: an ONNX one stays fp32.)"""
AVHUBERT = named("avs_") | {"softdtw_avhubert"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a file, of nonsense, for every weights file: a signature names files by content and loads none."""
    folder = tmp_path_factory.mktemp("files")

    def file(name: str, text: str = "1,2,3") -> Path:
        (folder / name).write_text(text)
        return folder / name

    weights: dict[str, Path] = {}
    for row in rows().values():
        if row.role not in ("avhubert", "arcface") or row.name in ("avhubert-large-noise-433h", "w600k_r50"):
            for part in (f.part for f in row.files):
                name = row.name if part == MAIN else f"{row.name}.{part}"
                weights[name] = file(name, name)
    options = {
        "lip_vertices": file("lips.txt"),
        "upper_vertices": file("upper.txt"),
        "style_encoder": file("encoder.pt"),
    }
    return Settings(weights=weights, reference=file("reference.png"), options=options, cache_dir=None)


def signed(settings: Settings) -> dict[str, str]:
    """The signature of every metric, before anything is measured."""
    return {m: format_signature(open_tools(settings, (m,)).signature_parts(m)) for m in sorted(ALL)}


def changed(before: dict[str, str], settings: Settings) -> set[str]:
    after = signed(settings)
    return {m for m in after if after[m] != before[m]}


Mutation = tuple[str, Callable[[Settings, Path], Settings], frozenset[str]]


def option(name: str, value: str, moved: frozenset[str]) -> Mutation:
    return f"{name}={value}", lambda s, folder: replace(s, options={**s.options, name: value}), moved


def content(name: str, moved: frozenset[str]) -> Mutation:
    def change(s: Settings, folder: Path) -> Settings:
        (folder / "other.txt").write_text("4,5,6")
        return replace(s, options={**s.options, name: folder / "other.txt"})

    return f"{name}=other content", change, moved


def statistics(name: str, dim: int, moved: frozenset[str]) -> Mutation:
    """A file of real videos' statistics for all metrics of the option."""

    def change(s: Settings, folder: Path) -> Settings:
        parts = {"mu": np.zeros(dim), "sigma": np.zeros((dim, dim)), "n": np.array(9)}
        arrays = {f"{PREFIX.get(m, f'{m}_')}{part}": value for m in moved for part, value in parts.items()}
        np.savez_compressed(folder / "other.npz", **arrays)
        return replace(s, options={**s.options, name: folder / "other.npz"})

    return f"{name}=statistics", change, moved


def setting(moved: frozenset[str], **changes: Any) -> Mutation:
    return str(changes), lambda s, folder: replace(s, **changes), moved


def protocol_option(name: str, value: str, moved: frozenset[str]) -> Mutation:
    return f"{name}={value}", lambda s, folder: replace(s, protocol_options={name: value}), moved


def reference(text: str, moved: frozenset[str]) -> Mutation:
    def change(s: Settings, folder: Path) -> Settings:
        (folder / "elsewhere.png").write_text(text)
        return replace(s, reference=folder / "elsewhere.png")

    return f"reference={text}", change, moved


NONE: frozenset[str] = frozenset()
FVD = named("fvd_")
RUN: dict[str, list[Mutation]] = {
    "protocol": [
        setting(CROP, protocol="radio-tight"), setting(CROP, protocol="raw"), setting(CROP | LSE, protocol="syncnet"),
        setting(CROP | LSE, protocol="lrs"), setting(CROP, protocol="personatalk"),
    ],
    "audio": [setting(of("gen.audio"), audio="gt")],
    "setting": [setting(ALL, setting="cross")],
    "align": [setting(ALL, align="shortest"), setting(NONE, align="trim:05")],
    "reference": [reference("4", of("reference")), reference("1,2,3", NONE)],
    "face": [setting(FACES, face="single"), setting(FACES, face="speaking")],
    "landmarks": [setting(NONE, landmarks="dlib68")],
    "detector": [setting(FACES, detector="yunet"), setting(NONE, detector="hog")],
    "precision": [setting(NETWORKS, precision="bf16"), setting(NONE, precision="fp32")],
    "device": [setting(NONE, device="cpu")],
    "cache_crops": [setting(NONE, cache_crops=True)],
    "offline": [setting(NONE, offline=True)],
    "seed": [setting(NONE, seed=7)],
}  # fmt: skip
PROTOCOL = [
    protocol_option("crop_from", "own", CROP), protocol_option("crop_from", "gt", CROP), protocol_option("radius", "clip-median", CROP),
    protocol_option("crop_from", "auto", NONE), protocol_option("radius", "per-frame", NONE),
]  # fmt: skip
FAMILY: dict[str, list[Mutation]] = {
    "style_encoder": [content("style_encoder", named("stylesim_vertices_encoder"))],
    "lip_expert_crop": [option("lip_expert_crop", "protocol", named("lip_expert_")), option("lip_expert_crop", "box", NONE)],
    "lpips_net": [option("lpips_net", "vgg", frozenset({"lpips"})), option("lpips_net", "alex", NONE)],
    "niqe_variant": [option("niqe_variant", "basicsr", frozenset({"niqe"}))],
    "brisque_variant": [option("brisque_variant", "pypi", frozenset({"brisque"}))],
    "fid_stats": [statistics("fid_stats", 2048, named("fid")), option("fid_stats", "a-file-that-is-written.npz", NONE)],
    "fvd_stats": [statistics("fvd_stats", 3, FVD), option("fvd_stats", "a-file-that-is-written.npz", NONE)],
    "fvd_frames": [option("fvd_frames", "20", FVD), option("fvd_frames", "16", NONE)],
    "fvd_start": [option("fvd_start", "3", FVD)],
    "fvd_windows": [option("fvd_windows", "all", FVD - {"fvd_r3d18"}), option("fvd_windows", "first", frozenset({"fvd_r3d18"}))],
    "fvd_stride": [option("fvd_stride", "4", frozenset({"fvd_r3d18"})), option("fvd_stride", "16", NONE)],
    "fvd_region": [option("fvd_region", "frame", FVD), option("fvd_region", "box", FVD - {"fvd_latentsync"})],
    "fvd_resize": [option("fvd_resize", "stretch", FVD)],
    "fvd_scale": [option("fvd_scale", "unit", FVD - {"fvd_latentsync"})],
    "fvd_extrapolate": [option("fvd_extrapolate", "1", FVD), option("fvd_extrapolate", "0", NONE)],
    "sync_detector": [option("sync_detector", "s3fd", LSE), option("sync_detector", "track", NONE)],
    "compat": [option("compat", "jpeg", LSE)],
    "roi": [option("roi", "center88", AVHUBERT)],
    "avhubert_dtype": [option("avhubert_dtype", "bfloat16", AVHUBERT)],
    "softdtw_gamma": [option("softdtw_gamma", "0.01", frozenset({"softdtw_mouth", "softdtw_avhubert"}))],
    "slcc_identity": [option("slcc_identity", "prefix", frozenset({"slcc"}))],
    "lip_vertices": [content("lip_vertices", frozenset({"lve_vertices"}))],
    "upper_vertices": [content("upper_vertices", frozenset({"fdd_vertices"}))],
}  # fmt: skip
ELSEWHERE = {"sync_checkpoint", "csim_net", "style_constants.points68", "style_constants.blendshapes"}
"""Options that name trained files: tests/radio/test_sync_metric.py, tests/csim, tests/stylesim."""


def test_no_option_is_forgotten() -> None:
    assert {o.name for o in RUN_OPTIONS} == RUN.keys()
    assert declared_options().keys() - FAMILY.keys() == ELSEWHERE, "say here which metrics a new option moves"
    for name, o in declared_options().items():
        moved = frozenset[str]().union(*(mutation[2] for mutation in FAMILY.get(name, [])))
        assert o.moves or not moved, f"{name} is declared as moving no number"
        owners = {m for m in ALL if any(x.name == name for x in family_of(m).options)}
        assert moved <= owners


MUTATIONS = [mutation for group in (*RUN.values(), PROTOCOL, *FAMILY.values()) for mutation in group]


@pytest.mark.parametrize(("how", "change", "moved"), MUTATIONS, ids=[how for how, _, _ in MUTATIONS])
def test_each_option_moves_the_signatures_of_the_metrics_that_it_can_move(
    how: str, change: Callable[[Settings, Path], Settings], moved: frozenset[str], base: Settings, tmp_path: Path
) -> None:
    assert changed(signed(base), change(base, tmp_path)) == moved


# numbers


MEASURED = (
    "psnr,ssim,cpbd,lmd,lmd_norm,fdd,mtm,softdtw_mouth,lip_dynamics,mouth_audio_corr,mouth_mel_corr,stylesim_points68"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two generated clips that talk otherwise, lie some px aside and are blurred; the second audio is late."""
    root, n = tmp_path_factory.mktemp("clips"), 30
    for k, name in enumerate(("a", "b")):
        write(root / "gt" / f"{name}.mkv", frames(n, seed=k), sound(n, k))
        moved = [np.roll(f, (2, 3), (0, 1)) for f in blurred(frames(n, seed=k + 5), 1.0)]
        write(root / "gen" / f"{name}.mkv", moved, np.roll(sound(n, k + 5), 3200))
    return root / "gen", root / "gt"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs: what a key lacks would mix their numbers."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def plain(folders: tuple[Path, Path], shared: Path) -> Result:
    return score(*folders, metrics=MEASURED, cache=shared)


def numbers(result: Result) -> dict[str, Any]:
    """All that a metric found: its value and each clip's, and the real videos' own."""
    return {
        s.metric: (
            s.value,
            [c.values.get(s.metric) for c in result.clips],
            [c.gt_values.get(s.metric) for c in result.clips],
        )
        for s in result.scores
    }


TOML = 'name = "radio"\nsize = {size}\n[crop]\nbase = "ffhq"\ncentre = [33]\nradius = ["ymax - y29", "x54 - x48"]\n'
IN_CROP = {"psnr", "ssim", "cpbd", "lmd"}
MOVES: list[tuple[dict[str, Any], set[str]]] = [
    ({"protocol": "radio-tight"}, {*IN_CROP, "lmd"}),
    ({"protocol": "raw"}, IN_CROP),
    ({"protocol_options": {"crop_from": "own"}}, IN_CROP),
    ({"protocol_options": {"crop_from": "gt"}}, set()),
    ({"protocol_options": {"radius": "clip-median"}}, IN_CROP),
    ({"audio": "gt"}, {"mouth_audio_corr", "mouth_mel_corr"}),
    ({"options": {"softdtw_gamma": 0.01}}, {"softdtw_mouth"}),
    ({"face": "single"}, set()),
    ({"face": "speaking"}, set()),
    ({"align": "strict"}, set()),
    ({"seed": 3}, set()),
    ({"device": "cpu"}, set()),
    ({"offline": True}, set()),
    ({"cache_crops": True}, set()),
    ({"cache_crops": True}, set()),
    ({"workers": 2}, set()),
    ({"threads": 2, "workers": 2}, set()),
    ({"threads": 3}, set()),
]


@pytest.mark.parametrize(("how", "moved"), MOVES, ids=[str(how) for how, _ in MOVES])
def test_equal_signatures_have_equal_numbers(
    how: dict[str, Any], moved: set[str], folders: tuple[Path, Path], shared: Path, plain: Result
) -> None:
    """Whatever moves a number moves its signature, through a cache that all runs share; and what should move it does."""
    other = score(*folders, metrics=MEASURED, cache=shared, **how)
    before, after = numbers(plain), numbers(other)
    for metric in before:
        if not difference(plain[metric].signature, other[metric].signature):
            assert after[metric] == before[metric], metric
    assert {m for m in moved if after[m] == before[m]} == set()
    assert not other.failures


def test_the_shared_cache_gives_what_no_cache_gives(folders: tuple[Path, Path], shared: Path) -> None:
    how = {"protocol": "radio-tight", "protocol_options": {"crop_from": "own"}}
    assert numbers(score(*folders, metrics="psnr,lmd,mtm,cpbd", cache=shared, **how)) == numbers(
        score(*folders, metrics="psnr,lmd,mtm,cpbd", cache=None, **how)
    )


def test_a_comment_in_a_protocol_file_moves_nothing(folders: tuple[Path, Path], shared: Path, tmp_path: Path) -> None:
    texts = (TOML.format(size=256), "# mine\n\n" + TOML.format(size="0x100"), TOML.format(size=255))
    runs = []
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.toml").write_text(text)
        runs.append(score(*folders, metrics="psnr,mtm", cache=shared, protocol=str(tmp_path / f"{i}.toml")))
    assert runs[0]["psnr"].signature == runs[1]["psnr"].signature != runs[2]["psnr"].signature
    assert runs[0]["mtm"].signature == runs[2]["mtm"].signature
    assert numbers(runs[0]) == numbers(runs[1]) and runs[0]["psnr"].value != runs[2]["psnr"].value


# what was done


def parts(result: Result, metric: str) -> dict[str, str]:
    return parse_signature(result[metric].signature)


def test_every_signature_says_how_files_were_read(plain: Result) -> None:
    assert {parts(plain, s.metric)["media"] for s in plain.scores} == {str(READING)}
    old = "|".join(part for part in plain["mtm"].signature.split("|") if not part.startswith("media:"))
    assert difference(old + "|proto:radio.1", plain["mtm"].signature) == {
        "media": (None, "2"),
        "proto": ("radio.1", None),
    }


def test_whose_landmarks_cropped_is_signed_as_it_was_resolved(
    folders: tuple[Path, Path], shared: Path, tmp_path: Path
) -> None:
    _, gt = folders
    for name in ("a", "b"):
        small = name == "b"
        pictures = [cv2.resize(f, (192, 192), interpolation=cv2.INTER_AREA) if small else f for f in frames(30, seed=9)]
        write(tmp_path / "gen" / f"{name}.mkv", pictures, sound(30, 9))

    def run(name: str = "", **how: Any) -> Result:
        place = tmp_path / "gen" / f"{name}.mkv", gt / f"{name}.mkv"
        return score(*(place if name else (tmp_path / "gen", gt)), metrics="psnr,lmd,mtm", cache=shared, **how)

    both, same, unlike = run(), run("a"), run("b")
    for metric in ("psnr", "lmd"):
        assert [parts(r, metric)["crop_from"] for r in (both, same, unlike)] == ["gt+own", "gt", "own"]
        assert not difference(run("a", protocol_options={"crop_from": "gt"})[metric].signature, same[metric].signature)
        assert not difference(
            run("b", protocol_options={"crop_from": "own"})[metric].signature, unlike[metric].signature
        )
    assert [c.details["crop_from"] for c in both.clips] == ["gt", "own"]
    assert "crop_from" not in parts(both, "mtm") and "proto" not in parts(both, "mtm")
    whole = score(tmp_path / "gen" / "a.mkv", gt / "a.mkv", metrics="psnr", protocol="raw")
    assert "crop_from" not in parts(whole, "psnr")
    alone = run(protocol_options={"crop_from": "gt"})  # b cannot be cropped so: what is left is of one kind
    assert parts(alone, "psnr")["crop_from"] == "gt" and alone["psnr"].n_scored == 1
    (tmp_path / "gen" / "a.mkv").write_bytes(b"no video")
    none = run("a")
    assert parts(none, "psnr")["n"] == "0of1" and "crop_from" not in parts(none, "psnr"), "nothing was cropped"
    assert not difference(none["psnr"].signature, unlike["psnr"].signature)
    assert parts(run("a", protocol_options={"crop_from": "own"}), "psnr")["crop_from"] == "own", "as it was asked"


def test_a_face_request_moves_no_metric_that_looks_at_no_face(tmp_path: Path) -> None:
    two = scene((0, 20, head(150)), (165, 20, head(150)))
    real = clip_of([two] * 12)
    for side, level in (("gen", 1.0), ("gt", 0.0)):
        pictures = list(real.frames()) if not level else blurred(list(real.frames()), level)
        write(tmp_path / side / "a.mkv", pictures)

    def run(metrics: str, protocol: str, face: str) -> Result:
        return score(
            tmp_path / "gen", tmp_path / "gt", metrics=metrics, protocol=protocol, face=face, cache=tmp_path / "cache"
        )

    alone, together = run("psnr", "raw", "largest"), run("psnr,lmd", "raw", "single")
    assert together["psnr"].value == alone["psnr"].value is not None
    assert together["psnr"].signature == alone["psnr"].signature
    assert [(f.stage, f.metric) for f in together.failures] == [("faces", "lmd")]
    assert run("psnr", "raw", "single").failures == []
    cropped = run("psnr", "radio", "single")  # its crop follows a face, so it fails whatever else is asked for
    assert cropped["psnr"].value is None and "face:single" in cropped["psnr"].signature
    assert run("psnr,lmd", "radio", "single")["psnr"].value is None


def test_a_track_that_is_of_no_use_is_the_reason_that_audio_metrics_give(tmp_path: Path) -> None:
    mono = sound(30)
    for side, audio in (("gen", np.stack([mono, -mono])), ("gt", mono[None])):
        (tmp_path / side).mkdir()
        picture = write(tmp_path / "pictures.mkv", frames(30))
        make_video_with(tmp_path / side / "a.mkv", picture, audio)
    result = score(tmp_path / "gen", tmp_path / "gt", metrics="psnr,mouth_audio_corr,mouth_mel_corr", protocol="raw")
    assert result["psnr"].value is not None
    told = {f.metric: f.message for f in result.failures}
    assert told.keys() == {"mouth_audio_corr", "mouth_mel_corr"}
    assert all("opposite phase" in message for message in told.values())


def make_video_with(path: Path, pictures: Path, audio: np.ndarray) -> None:
    """The pictures of a file with other audio, (channels, N) float."""
    with av.open(str(pictures)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        track = out.add_stream("pcm_s16le", rate=16000, layout="stereo" if len(audio) == 2 else "mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        whole = np.ascontiguousarray((audio * 32767).astype(np.int16).T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout=track.layout.name)
        frame.rate, frame.pts = 16000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
