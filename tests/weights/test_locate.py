"""Where a file is looked for, in which order, and how it is named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lipsync_eval.errors import MissingWeights, UsageError, WeightsError
from lipsync_eval.types import Settings
from lipsync_eval.weights import check_overrides, get_row, locate, rows, weights_cache_dir
from lipsync_eval.weights.locate import folders


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIPSYNC_EVAL_WEIGHTS", raising=False)


def test_missing_ends_with_the_pull_line() -> None:
    with pytest.raises(MissingWeights) as caught:
        locate(Settings(), "syncnet", role="syncnet")
    assert str(caught.value).splitlines()[-1] == "lipsync-eval weights pull syncnet"
    assert "syncnet_v2.model" in str(caught.value) and str(weights_cache_dir()) in str(caught.value)


def test_missing_without_an_address_says_where_to_look() -> None:
    with pytest.raises(MissingWeights) as caught:
        locate(Settings(), "mobilefacenet", role="arcface")
    assert "run:" not in str(caught.value) and "`weights pull` has no address of it" in str(caught.value)
    assert "foamliu/MobileFaceNet" in str(caught.value)


def test_order_override_folder_environment_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "avhubert-base-vox-433h"
    file = get_row(name).files[0].file
    cached = put(weights_cache_dir() / file, "cache")
    assert locate(Settings(), name).path == cached
    monkeypatch.setenv("LIPSYNC_EVAL_WEIGHTS", str(tmp_path / "env"))
    assert locate(Settings(), name).path == cached
    assert locate(Settings(), name).path != put(tmp_path / "other" / file)
    from_env = put(tmp_path / "env" / file, "env")
    assert locate(Settings(), name).path == from_env
    named = put(tmp_path / "named" / file, "named")
    assert locate(Settings(weights_dir=tmp_path / "named"), name).path == named
    own = put(tmp_path / "own.pt", "own")
    found = locate(Settings(weights_dir=tmp_path / "named", weights={name: own}), name)
    assert found.path == own and found.sha256 == digest("own") and found.signature == f"{name}@{digest('own')[:8]}"


def test_alias_is_found(tmp_path: Path) -> None:
    put(tmp_path / "s3fd.model")
    assert locate(Settings(weights_dir=tmp_path), "s3fd").path.name == "s3fd.model"


def test_parts_have_their_own_files(tmp_path: Path) -> None:
    lin = put(tmp_path / "lpips_alex_v0.1.pth", "lin")
    trunk = put(tmp_path / "mine.pth", "trunk")
    settings = Settings(weights_dir=tmp_path, weights={"lpips-alex": trunk})
    assert locate(settings, "lpips-alex").path == trunk
    found = locate(settings, "lpips-alex", part="lin")
    assert found.path == lin and found.signature == f"lpips-alex.lin@{digest('lin')[:8]}"
    with pytest.raises(WeightsError, match="no part 'head'"):
        locate(settings, "lpips-alex", part="head")


def test_another_row_of_the_role_stands_in(tmp_path: Path) -> None:
    own = put(tmp_path / "x.onnx")
    settings = Settings(weights={"mobilefacenet": own})
    found = locate(settings, "w600k_r50", role="arcface")
    assert found.name == "mobilefacenet" and found.path == own and not found.verified
    with pytest.raises(MissingWeights):
        locate(settings, "w600k_r50")


def test_role_takes_any_file(tmp_path: Path) -> None:
    own = put(tmp_path / "mine.pt", "mine")
    found = locate(Settings(weights={"avhubert": own}), "avhubert-base-vox-433h", role="avhubert")
    assert (
        found.signature == f"avhubert@{digest('mine')[:8]}"
        and not found.verified
        and "no file that the registry knows" in found.note
    )


def test_two_for_one_role_are_refused(tmp_path: Path) -> None:
    own = put(tmp_path / "x.onnx")
    with pytest.raises(UsageError, match=r"w600k_r50 and mobilefacenet|mobilefacenet and w600k_r50"):
        locate(Settings(weights={"mobilefacenet": own, "w600k_r50": own}), "w600k_r50", role="arcface")


def test_another_file_under_the_published_name(tmp_path: Path) -> None:
    """In the user's own folder it is used and said to be unverified; in our cache it is damage."""
    put(tmp_path / "syncnet_v2.model", "seeded")
    found = locate(Settings(weights_dir=tmp_path), "syncnet")
    assert (
        not found.verified
        and "not the published file" in found.note
        and found.signature == f"syncnet@{digest('seeded')[:8]}"
    )
    put(weights_cache_dir() / "syncnet_v2.model", "damaged")
    with pytest.raises(WeightsError, match="weights pull syncnet"):
        locate(Settings(), "syncnet")


def test_changed_file_gets_a_new_hash(tmp_path: Path) -> None:
    settings = Settings(weights={"syncnet": put(tmp_path / "a", "one")})
    first = locate(settings, "syncnet").sha256
    put(tmp_path / "a", "another")
    assert locate(settings, "syncnet").sha256 == digest("another") != first


def test_overrides_are_checked_early(tmp_path: Path) -> None:
    own = put(tmp_path / "a")
    check_overrides({"syncnet": own, "avhubert": own, "lpips-alex.lin": own})
    with pytest.raises(WeightsError, match="Did you mean syncnet"):
        check_overrides({"syncnett": own})
    with pytest.raises(WeightsError, match="no part"):
        check_overrides({"syncnet.lin": own})
    with pytest.raises(UsageError, match="there is no such file"):
        check_overrides({"syncnet": tmp_path / "none"})


def test_small_real_weights_are_verified(data: Path) -> None:
    settings = Settings(weights_dir=data / "weights")
    for name in ("mobilefacenet", "yunet", "face_landmarker"):
        assert locate(settings, name).verified


def test_folders_without_environment() -> None:
    assert folders(Settings()) == (weights_cache_dir(),)


def test_registry_is_complete_and_consistent() -> None:
    required = {
        "syncnet",
        "s3fd",
        "avhubert-base-vox-433h",
        "lpips-alex",
        "lpips-vgg",
        "lpips-squeeze",
        "inception-fid",
        "w600k_r50",
    }
    required |= {
        "w600k_mbf",
        "glint360k_r100",
        "mobilefacenet",
        "sface",
        "fan2d",
        "yunet",
        "face_landmarker",
        "diffposetalk",
    }
    assert required <= set(rows())
    names: list[str] = []
    for row in rows().values():
        assert row.purpose and row.licence and row.citation and row.preprocessing
        assert row.files[0].part == "main"
        for entry in row.files:
            names += [entry.file, *entry.aliases]
            assert entry.urls or row.notes, f"{row.name}: no address and no word on where to get it"
            assert all(url.startswith("https://") for url in entry.urls)
            assert set(entry.sha256) <= set("0123456789abcdef") and len(entry.sha256) in {0, *range(8, 65)}
    assert len(names) == len(set(names))
    assert rows()["syncnet"].files[0].sha256.startswith("961e8696") and rows()["s3fd"].files[0].sha256.startswith(
        "d54a87c2"
    )
