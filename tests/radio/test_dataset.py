"""Windows: what is in them, and that sample k is the same for everybody."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.radio import micro, segment, write_data

from lipsync_eval.baselines.kit.data.holdout import Span, even_windows, shifted, split
from lipsync_eval.baselines.kit.data.shards import Shard, ShardEntry, ShardError
from lipsync_eval.baselines.kit.data.windows import Numbers, TrainingSet, Windows, fit, to_frames, to_tensor
from lipsync_eval.baselines.radio.data.inputs import open_pool
from lipsync_eval.errors import UsageError


def spans(*lengths, groups=None, splits=None):
    found = []
    for k, n in enumerate(lengths):
        group = groups[k] if groups else f"{k}.mp4"
        entry = ShardEntry(f"{k}#0", f"{k}.mp4", group, splits[k] if splits else None, 0, n)
        found.append(Span(Shard("s", "", 0, (entry,)), 0, entry, 0, n))
    return found


def test_a_window_holds_consecutive_pictures_with_their_sound(made_data):
    pool = open_pool(micro(made_data))
    windows = Windows(pool)
    span = pool.train[0]
    sample = windows.window(span, 7, [0, 1, 2, 3, 19])
    assert sample.target.shape == (5, 3, 32, 32) and sample.audio.shape == (5, 1, 80, 20)
    mel = windows.reader.array(span.shard, f"{span.number}/mel")
    for k in range(5):
        frame = windows.reader.crop(span.shard, span.number, 7 + k)
        np.testing.assert_array_equal(to_frames(sample.target[k : k + 1])[0], frame)
        np.testing.assert_array_equal(sample.audio[k, 0].numpy(), mel[4 * (7 + k) : 4 * (7 + k) + 20].T)
    # the made data hold one loudness per frame: mel column 8 of a window belongs to the frame itself
    assert sample.audio[0, 0, 0, 8] == sample.audio[1, 0, 0, 4]


def test_references_come_from_the_same_entry_outside_the_window(made_data):
    pool = open_pool(micro(made_data))
    data = TrainingSet(pool, seed=3)
    for k in range(20):
        span, start, _ = data.drawn.draw(k)
        sample = data[k]
        inside = {bytes(p.numpy().tobytes()) for p in sample.target}
        everything = {
            bytes(data.drawn.windows.tensor(span, [i])[0].numpy().tobytes()) for i in range(span.start, span.stop)
        }
        for reference in sample.reference:
            raw = bytes(reference.numpy().tobytes())
            assert raw in everything and raw not in inside
        assert span.start <= start <= span.stop - 5


def test_sample_k_is_always_the_same(made_data):
    pool = open_pool(micro(made_data))
    a, b = TrainingSet(pool, seed=3), TrainingSet(pool, seed=3)
    for x, y in zip(a[11][:3], b[11][:3], strict=True):
        assert torch.equal(x, y)
    assert not torch.equal(a[11].target, TrainingSet(pool, seed=4)[11].target)


@given(st.integers(1, 4), st.sampled_from([1, 2, 4]), st.integers(0, 3))
def test_processes_share_the_samples_without_gap(local, world, first):
    taken = []
    for rank in range(world):
        numbers = iter(Numbers(first * 100, local, rank, world))
        taken += [next(numbers) for _ in range(3)]
    flat = sorted(n for batch in taken for n in batch)
    assert flat == list(range(first * 100, first * 100 + 3 * local * world))


@settings(max_examples=50)
@given(st.lists(st.integers(5, 60), min_size=3, max_size=8), st.floats(0.05, 0.5))
def test_tail_keeps_the_end_of_every_entry(lengths, share):
    train, held = split(spans(*lengths), f"tail:{share}") if max(lengths) > 10 else ([], [])
    for s in held:
        assert s.stop == s.entry.frames and s.stop - s.start >= 5
    for s in train:
        assert s.start == 0
        partner = [h for h in held if h.entry is s.entry]
        assert partner and partner[0].start == s.stop  # nothing is in both


def test_groups_are_never_torn_apart():
    train, held = split(spans(20, 20, 20, 20, 20, 20, groups=list("aabbcc")), "clips:0.34")
    assert {s.entry.group for s in train}.isdisjoint({s.entry.group for s in held})
    assert len(held) == 2
    again = split(list(reversed(spans(20, 20, 20, 20, 20, 20, groups=list("aabbcc")))), "clips:0.34")[1]
    assert {s.entry.group for s in again} == {s.entry.group for s in held}  # whatever the order


def test_splits_of_the_layout_and_by_name():
    train, held = split(spans(9, 9, 9, splits=["train", "val", "test"]), "split")
    assert [s.entry.id for s in train] == ["0#0"] and [s.entry.id for s in held] == ["1#0"]
    train, held = split(spans(9, 9, 9), "ids:0,2")
    assert [s.entry.id for s in held] == ["0#0", "2#0"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("half", "holdout 'half' is not known"),
        ("clips:2", "must lie between 0 and 1"),
        ("tail:x", "must lie between 0 and 1"),
        ("ids:9", "there is no 9; there are"),
        ("split", "leaves no window to hold out"),
        ("ids:0,1", "leaves no window to train on"),
    ],
)
def test_rules_that_cannot_work(rule, message):
    with pytest.raises(UsageError, match=message):
        split(spans(20, 20), rule)


def test_even_windows_spread_over_all():
    chosen = even_windows(spans(10, 30), 4)
    assert [(s.entry.id, first) for s, first in chosen] == [("0#0", 0), ("1#0", 4), ("1#0", 15), ("1#0", 25)]
    assert len(even_windows(spans(6), 100)) == 2


@given(st.integers(0, 25), st.integers(1, 12), st.integers(0, 99))
def test_shifted_is_far_enough(start, least, seed):
    (span,) = spans(30)
    other = shifted(span, start, least, np.random.default_rng(seed))
    assert 0 <= other <= 25 and abs(other - start) >= least


def test_large_pictures_are_shrunk_by_area(tmp_path):
    write_data(tmp_path, [segment("a", size=64), segment("b", size=64, seed=1)], size=64)
    pool = open_pool(micro(tmp_path, data={"holdout": "tail:0.3"}))
    windows = Windows(pool)
    raw = windows.reader.crop(pool.train[0].shard, 0, 0)
    expected = raw.reshape(32, 2, 32, 2, 3).mean((1, 3))
    np.testing.assert_allclose(fit(raw, 32), expected, atol=0.51)
    assert windows.tensor(pool.train[0], [0]).shape == (1, 3, 32, 32)


def test_tensors_and_back():
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    x = to_tensor(frames)
    assert x.min() == -1
    np.testing.assert_array_equal(to_frames(x), frames)
    assert to_frames(torch.full((1, 3, 2, 2), 9.0)).max() == 255


def test_data_that_do_not_fit(tmp_path, made_data):
    with pytest.raises(UsageError, match="give --data FOLDER"):
        open_pool(micro())
    with pytest.raises(UsageError, match="holds 32-pixel crops, the model is 64 px"):
        open_pool(micro(made_data, model={"size": 64}))
    write_data(tmp_path, [segment("a", frames=8)])
    with pytest.raises(UsageError, match="holds no entry of 9 frames"):
        open_pool(micro(tmp_path, data={"min_frames": 9}))


def test_a_corrupt_shard_stops_the_start(tmp_path):
    manifest = write_data(tmp_path, [segment("a"), segment("b", seed=1)])
    path = tmp_path / manifest.shards[0].file
    data = bytearray(path.read_bytes())
    data[-100] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(ShardError, match="has been changed"):
        open_pool(micro(tmp_path, data={"holdout": "tail:0.3"}))
