"""Protocols that a user declares in a TOML file."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.faces68 import clip, view

from lipsync_eval import protocols
from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.protocol import SyncRules, View

HEAD = 'name = "mine"\nsize = 64\n[crop]\n'
RADIO = """
name = "my-radio"
version = 1
size = 256
[crop]
base = "ffhq"
centre = [33]
radius = ["ymax - y29", "x54 - x48"]
"""


@pytest.fixture
def declare(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def same_crops(one, other):
    faces = view(clip(5, missing=(3,)))
    for a, b in zip(one.crops(faces, faces), other.crops(faces, faces), strict=True):
        np.testing.assert_array_equal(a.matrix, b.matrix)
        np.testing.assert_array_equal(a.overflow, b.overflow)
        assert a.size == b.size
        assert a.notes == b.notes


def test_radio_can_be_declared_bit_for_bit(declare):
    path = declare(RADIO)
    same_crops(protocols.get(path), protocols.get("radio"))
    options = {"crop_from": "own", "radius": "clip-median"}
    same_crops(protocols.get(path, options), protocols.get("radio", options))


BUILT_IN = {
    "radio-tight": ('base = "ffhq"\ncentre = [33]\nradius = ["ymax-y29", "x54 - x48"]\nscale = 0.525', 256),
    "personatalk": ('base = "box"\nmargins = [0.1, 0.3, 0.1, 0.05]', 256),
    "stylesync": (
        f'base = "eyes"\ncentre = {list(range(36, 48))}\nradius = ["unit"]\nscale = 1.575\noffset = [0, 0.43]',
        256,
    ),
    "wav2lip": ('base = "box"\nmargins = [0, 0.31, 0, 0]\npads = [0, 0, 0, 10]\nsmooth = 5\nshape = "stretch"', 96),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_so_can_the_others(declare, name):
    crop, size = BUILT_IN[name]
    same_crops(protocols.get(declare(f'name = "mine"\nsize = {size}\n[crop]\n{crop}\n')), protocols.get(name))


LIKE_RADIO = """# Another spelling of the same crop.
version = 1
name   = "my-radio"
summary = "Other words"
citation = 'none'
choices = ["One sentence."]
size = 0x100

[crop]      # a comment
radius = [ "x54-x48", "ymax-y29", "x54 - x48" ]
scale = 1.0
centre = [33]
offset = [-0.0, 0]
base = 'ffhq'
crop_from = "own"
[sync]
tracks = "mean"
"""


def digest_of(path, **options):
    name, _, digest = protocols.get(path, options).signature().partition("@")
    assert name == "my-radio.1"
    return digest


def test_the_signature_holds_what_the_file_says_about_the_crop(declare):
    digest = digest_of(declare(RADIO))
    assert len(digest) == 8
    assert digest_of(declare(RADIO + "\n# other\n\n")) == digest
    assert digest_of(declare(LIKE_RADIO)) == digest
    assert digest_of(declare(RADIO), crop_from="gt") == digest, "signed by the engine, as it was resolved"
    assert digest_of(declare(RADIO), radius="clip-median") == f"{digest},radius=clip-median"
    assert digest_of(declare(RADIO + 'radius_mode = "clip-median"\n')) == f"{digest},radius=clip-median"
    assert digest_of(declare(RADIO + 'radius_mode = "clip-median"\n'), radius="per-frame") == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("centre = [33]", "centre = [33, 30]"), ("ymax - y29", "ymax - y30"), ("x54 - x48", "unit"), ("size = 256", "size = 255"),
        ('base = "ffhq"', 'base = "eyes"'), ('base = "ffhq"', 'scale = 1.1\nbase = "ffhq"'), ('base = "ffhq"', 'offset = [0, 0.1]\nbase = "ffhq"'),
    ],
)  # fmt: skip
def test_what_moves_a_crop_moves_the_signature(declare, old, new):
    assert old in RADIO
    points = clip()
    before = protocols.get(declare(RADIO))
    signature, crop = before.signature(), before.crops(view(points), view(points))[0]
    after = protocols.get(declare(RADIO.replace(old, new)))
    moved = after.crops(view(points), view(points))[0]
    assert after.signature() != signature and (moved.size != crop.size or not np.allclose(moved.matrix, crop.matrix))


BOX = HEAD + 'base = "box"\n'


@pytest.mark.parametrize("more", ["margins = [0.1, 0, 0, 0]", "pads = [0, 0, 0, 3]", "smooth = 2", 'shape = "stretch"'])
def test_so_do_the_fields_of_a_box(declare, more):
    points = clip()
    before = protocols.get(declare(BOX))
    signature, crop = before.signature(), before.crops(view(points), view(points))[0]
    after = protocols.get(declare(BOX + more + "\n"))
    assert after.signature() != signature
    assert not np.allclose(after.crops(view(points), view(points))[0].matrix, crop.matrix)


def test_syncnets_rules_can_be_declared(declare):
    assert protocols.spec(declare(UPRIGHT)).sync == SyncRules()
    rules = 'detector = "s3fd"\nmin_track = 50\nshots = "0.6.1"\ntracks = "mean"\n'
    assert protocols.spec(declare(UPRIGHT + "[sync]\n" + rules)).sync == protocols.spec("latentsync").sync
    with pytest.raises(ParseError, match=r"mine\.toml, line 8: sync\.min_track"):
        protocols.get(declare(UPRIGHT + "[sync]\nmin_track = 0.5"))


def test_the_spec_is_what_the_file_says(declare):
    spec = protocols.spec(
        declare('summary = "S"\ncitation = "C"\nchoices = ["one."]\nversion = 7\n' + HEAD + 'base = "frame"\n')
    )
    assert (spec.name, spec.version, spec.size, spec.needs_track) == ("mine", 7, 64, False)
    assert (spec.summary, spec.citation, spec.choices) == ("S", "C", ("one.",))
    bare = protocols.spec(declare(HEAD + 'base = "box"\n'))
    assert bare.needs_track
    assert "mine.toml" in bare.summary


def test_a_whole_frame_may_be_resized(declare):
    path = declare(HEAD + 'base = "frame"\n')
    crop = protocols.get(path).crops(View(32, 128, 2, None), View(32, 128, 2, None))[0]
    assert crop.size == (64, 64)
    np.testing.assert_allclose(
        crop.points(np.array([[[-0.5, -0.5], [127.5, 31.5]]] * 2)), [[[-0.5, -0.5], [63.5, 63.5]]] * 2
    )
    unsized = declare('name = "mine"\n[crop]\nbase = "frame"\n')
    assert protocols.get(unsized).crops(View(32, 128, 2, None), View(32, 128, 2, None))[0].size == (32, 128)


UPRIGHT = HEAD + 'base = "upright"\ncentre = [33]\nradius = ["x54 - x48"]\n'
WRONG = [
    ("sync = 3\n" + UPRIGHT, r"sync: expected a table \[sync\]"),
    (UPRIGHT + '[sync]\ndetecter = "s3fd"', r"sync.detecter: expected one of detector, .*Did you mean detector"),
    (UPRIGHT + '[sync]\ndetector = "yunet"', r"sync.detector: expected one of track, s3fd, none, found 'yunet'"),
    (UPRIGHT + "[sync]\nmin_track = -1", r"sync.min_track: expected a whole number of frames.*found -1"),
    (UPRIGHT + '[sync]\nshots = "1.0"', r"sync.shots: expected one of 0.5.1, 0.6.1, found '1.0'"),
    (UPRIGHT + '[sync]\ntracks = "best"', r"sync.tracks: expected one of longest, mean, found 'best'"),
    ("name = ", "cannot be read as TOML"),
    (b'name = "\xff"', "cannot be read as TOML"),
    ('size = 64\n[crop]\nbase = "frame"', r"name: expected small letters, digits"),
    ('name = "a|b"\n[crop]\nbase = "frame"', r"name: expected small letters.*found 'a\|b'"),
    ('name = "a:b"\n[crop]\nbase = "frame"', r"name: expected small letters.*found 'a:b'"),
    ('name = "mine"\n', r"crop: expected a table \[crop\]"),
    ('name = "mine"\ncrop = 3\n', r"crop: expected a table \[crop\]"),
    ("colour = 1\n" + UPRIGHT, r"colour: expected one of choices, citation, crop, name, size, summary, sync, version"),
    ("version = 0\n" + UPRIGHT, r"version: expected a whole number from 1 on, found 0"),
    ("version = true\n" + UPRIGHT, r"version: expected a whole number from 1 on, found True"),
    ("summary = 3\n" + UPRIGHT, r"summary: expected a text, found 3"),
    ("citation = []\n" + UPRIGHT, r"citation: expected a text, found \[\]"),
    ("choices = [3]\n" + UPRIGHT, r"choices: expected a list of sentences, found \[3\]"),
    ('name = "mine"\n[crop]\nbase = "box"', r"size: expected the side of the crop in px, 16 to 2048"),
    ('name = "mine"\nsize = 8\n[crop]\nbase = "box"', r"size: expected a whole number of px, 16 to 2048, found 8"),
    ('name = "mine"\nsize = 9.5\n[crop]\nbase = "box"', r"size: expected a whole number of px, 16 to 2048, found 9.5"),
    (HEAD, r"crop.base: expected one of ffhq, eyes, upright, box, frame"),
    (HEAD + 'base = "face"', r"crop.base: expected one of ffhq, eyes, upright, box, frame, found 'face'"),
    (HEAD + 'base = ["box"]', r"crop.base: expected one of ffhq, eyes, upright, box, frame, found \['box'\]"),
    (HEAD + 'base = "frame"\nscale = 2', r"crop.scale: expected one of base"),
    (HEAD + 'base = "box"\ncentre = [3]', r"crop.centre: expected one of base, crop_from, margins"),
    (UPRIGHT + "margins = [0, 0, 0, 0]", r"crop.margins: expected one of base, centre"),
    (UPRIGHT + 'crop_from = "gen"', r"crop.crop_from: expected one of auto, gt, own, found 'gen'"),
    (UPRIGHT + 'radius_mode = "mean"', r"crop.radius_mode: expected one of per-frame, clip-median, found 'mean'"),
    (UPRIGHT + "scale = 0", r"crop.scale: expected a number above 0, at most 100, found 0"),
    (UPRIGHT + "scale = nan", r"crop.scale: expected a number above 0, at most 100, found nan"),
    (UPRIGHT + 'scale = "2"', r"crop.scale: expected a number above 0, at most 100, found '2'"),
    (UPRIGHT + "offset = [1]", r"crop.offset: expected 2 numbers, found \[1\]"),
    (UPRIGHT + "offset = [1, inf]", r"crop.offset: expected 2 numbers, found \[1, inf\]"),
    (HEAD + 'base = "box"\nmargins = 0.1', r"crop.margins: expected 4 numbers, found 0.1"),
    (HEAD + 'base = "box"\npads = [0, 0, 0, "9"]', r"crop.pads: expected 4 numbers"),
    (HEAD + 'base = "box"\nsmooth = 0', r"crop.smooth: expected a whole number of frames, 1 to 1000, found 0"),
    (HEAD + 'base = "box"\nshape = "round"', r"crop.shape: expected one of square, stretch, found 'round'"),
    (HEAD + 'base = "box"\nshape = "stretch"\nradius_mode = "clip-median"', r"crop.radius_mode: expected per-frame"),
    (HEAD + 'base = "eyes"\nradius = ["unit"]', r"crop.centre: expected a list of points, 0 to 67"),
    (
        HEAD + 'base = "eyes"\ncentre = [68]\nradius = ["unit"]',
        r"crop.centre: expected a list of points, 0 to 67, found \[68\]",
    ),
    (HEAD + 'base = "eyes"\ncentre = []\nradius = ["unit"]', r"crop.centre: expected a list of points"),
    (HEAD + 'base = "eyes"\ncentre = [3]', r"crop.radius: expected a list of lengths such as"),
    (HEAD + 'base = "eyes"\ncentre = [3]\nradius = ["x1"]', r"crop.radius: expected a list of lengths.*found \['x1'\]"),
    (HEAD + 'base = "eyes"\ncentre = [3]\nradius = ["x68 - x1"]', r"crop.radius: expected a list of lengths"),
    (HEAD + 'base = "eyes"\ncentre = [3]\nradius = "unit"', r"crop.radius: expected a list of lengths"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_an_error_names_the_key_and_what_is_allowed(declare, text, words):
    path = declare(text)
    with pytest.raises(ParseError, match=words) as error:
        protocols.get(path)
    assert path in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "mine"\n\nsize = 8\n[crop]\nbase = "box"', 3),
        (HEAD + 'base = "box"\n  scale = 0', HEAD.count("\n") + 2),
        ('name = "mine"\nsize = 64\nscale = 2\n[crop]\nbase = "box"\nscale = 0', 3),
        ('summary = "scale = 1"\n' + HEAD + 'base = "box"\nscale = 0', HEAD.count("\n") + 3),
    ],
)
def test_an_error_names_the_line(declare, text, line):
    with pytest.raises(ParseError, match=rf"mine\.toml, line {line}: "):
        protocols.get(declare(text))


def test_an_error_about_a_missing_key_names_no_line(declare):
    with pytest.raises(ParseError, match=r"mine\.toml: crop\.centre: expected"):
        protocols.get(declare(HEAD + 'base = "eyes"\nradius = ["unit"]'))


def test_a_missing_file_and_a_folder(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    for name in ("none.toml", "folder.toml"):
        with pytest.raises(ParseError, match=f"{name}: cannot be read"):
            protocols.get(str(tmp_path / name))


def test_options_are_those_of_the_declared_base(declare):
    with pytest.raises(UsageError, match="It has none"):
        protocols.get(declare(HEAD + 'base = "frame"'), {"crop_from": "gt"})
    with pytest.raises(UsageError, match="There are: crop_from, radius"):
        protocols.get(declare(UPRIGHT), {"size": "3"})


def test_the_example_in_the_docs(declare):
    page = (Path(__file__).parents[2] / "docs" / "protocols" / "toml.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    protocol = protocols.get(declare(example))
    assert re.fullmatch(r"lower-face\.1@[0-9a-f]{8}", protocol.signature())
    points = clip()
    crop = protocol.crops(view(points), view(points))[0]
    assert crop.size == (192, 192)
    seen = crop.points(points)
    np.testing.assert_allclose(seen[:, [48, 54]].mean(axis=1), 95.5, atol=1e-9)
    lengths = np.maximum(seen[:, :, 1].max(axis=1) - seen[:, 33, 1], seen[:, 54, 0] - seen[:, 48, 0])
    np.testing.assert_allclose(lengths * 1.1, 96.0, atol=1e-9)
