"""From what was seen and heard to plain sentences. A pure function; each sentence says how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from lipsync_eval.engine.diagnose.look import Look, SyncCurve
from lipsync_eval.features.background import HIGHEST
from lipsync_eval.features.mouth_mel import LEAST, QUIETEST, shipped
from lipsync_eval.types import FPS

Level = Literal["problem", "note", "ok", "unknown"]
FAR: Final = 5
"""Frames of offset from which it is a problem; from 2 on it is worth a note (real recordings are off by up to 4)."""
LITTLE: Final = 0.2
SOME: Final = 0.5
"""Shares of speech below which there is hardly any, and little."""
LOUD: Final = 5.0
HEARD: Final = 10.0
"""dB of speech over background below which the background is loud, and can be heard."""
SMALL: Final = 64
"""px: side of a face below which SyncNet's 224 px crop is mostly made up."""
HELD: Final = 0.1
MISSING: Final = 0.1
"""Shares of repeated frames, and of frames without the face, from which they are told."""
SHORT: Final = 4.0
LONG: Final = 10.0
"""s below which no offset can be expected, and from which a mouth that follows the audio nearly always shows it."""
POOR: Final = 0.03
"""Bits per pixel below which the video is told to be strongly compressed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about a clip."""

    about: str
    """sync, speech, background, people, face, shots, rate, file."""
    level: Level
    """problem: it explains a low score. note: worth knowing. ok: looked at and fine. unknown: cannot be told."""
    text: str


def findings(seen: Look) -> list[Finding]:
    """What is to be said, problems first."""
    found = [*_sync(seen), *_speech(seen), *_background(seen), *_people(seen), *_face(seen), *_shots(seen)]
    found += [*_rate(seen), *_file(seen)]
    order = ("problem", "note", "unknown", "ok")
    return sorted(found, key=lambda finding: order.index(finding.level))


def main_curve(seen: Look) -> SyncCurve | None:
    """SyncNet's curve of the person who speaks; without a speaker, of the most confident one. None without SyncNet."""
    mine = [curve for curve in seen.syncnet if curve.person == seen.speaker]
    return mine[0] if mine else max(seen.syncnet, key=lambda curve: curve.lse_c, default=None)


def _sync(seen: Look) -> list[Finding]:
    seconds = seen.clip.n_frames / FPS
    if seen.clip.audio is None or not len(seen.clip.audio.samples):
        why = seen.clip.no_audio or "the file has no audio track"
        return [Finding("sync", "problem", f"There is no audio to be in sync with: {why}.")]
    found = []
    curve = main_curve(seen)
    if curve is not None:
        found.append(_by_syncnet(seen, curve))
    if seen.speaker is None or (mouth := seen.heard[seen.speaker].found) is None:
        reasons = "; ".join(dict.fromkeys(one.reason for one in seen.heard)) or "there is no face"
        return [*found, Finding("sync", "problem", f"No mouth can be compared with the audio: {reasons}.")]
    beside = (
        "" if seen.syncnet else f" ({seen.syncnet_missing}, so this is our mouth-mel curve; its values are not LSE)"
    )
    text = f"The mouth-mel score is {mouth.corr:.2f}{beside}"
    if not mouth.refusal:
        level, words = _offset(mouth.shift)
        found.append(Finding("sync", level, f"{text}; {words} The peak is sure (certainty {mouth.sure:.1f})."))
    elif "last shift" in mouth.refusal:
        found.append(
            Finding("sync", "note", f"{text}; {mouth.refusal}. Audio that is off by more than 0.6 s looks like this.")
        )
    elif seconds >= LONG:
        told = (
            f"{text}, and in {seconds:.0f} s no shift within 15 frames is surely better than the others (certainty {mouth.sure:.1f}, "
            f"{shipped().limit:.2f} is sure). The audio may be off by more, another person may speak (a voice-over, a dub), or the mouth "
            "is not seen well."
        )
        found.append(Finding("sync", "note", told))
    else:
        told = f"{text}; no offset can be told (best {mouth.shift:+d}, not surely: certainty {mouth.sure:.1f}), as is common for {seconds:.1f} s."
        found.append(Finding("sync", "unknown", told))
    if len(seen.halves) == 2 and abs(seen.halves[0] - seen.halves[1]) >= 3:
        told = (
            f"The offset changes within the clip, from {seen.halves[0]:+d} frames in its first half to {seen.halves[1]:+d} in its second: "
            "audio and video run at different speeds, or the clip was cut together."
        )
        found.append(Finding("sync", "problem", told))
    elif seen.clip.n_frames < SHORT * FPS:
        told = (
            f"The clip is short ({seconds:.1f} s): SyncNet's confidence is lower and less steady on short clips, since far shifts compare "
            "with nothing. Compare it only with clips of the same length."
        )
        found.append(Finding("sync", "note", told))
    return found


def _by_syncnet(seen: Look, curve: SyncCurve) -> Finding:
    text = (
        f"SyncNet ({seen.syncnet_weights}) on person {curve.person + 1}: LSE-C {curve.lse_c:.2f}, LSE-D {curve.lse_d:.2f}. Wav2Lip's paper "
        "has LSE-C 6.9 to 7.8 for real videos."
    )
    if abs(curve.offset) == 15:
        return Finding(
            "sync",
            "problem",
            f"{text} The minimum is at the last shift (15 frames): no shift fits, or the audio is further off.",
        )
    level, words = _offset(curve.offset)
    return Finding("sync", level, f"{text} {words[0].upper()}{words[1:]}")


def _offset(shift: int) -> tuple[Level, str]:
    if abs(shift) <= 1:
        return "ok", "audio and lips are in sync within a frame."
    how = "before" if shift > 0 else "after"
    words = f"the audio comes {abs(shift)} frames ({abs(shift) / FPS:.2f} s) {how} the lips (offset {shift:+d})."
    if abs(shift) < FAR:
        return (
            "note",
            words
            + " Real recordings are often off by a few frames; LSE-C and LSE-D search the best shift and hide it.",
        )
    advice = (
        " LSE-C and LSE-D search the best shift, so they hide this; av_offset, AVS and viewers do not. "
        "Move the audio, or find the step that moved it."
    )
    return "problem", words + advice


def _speech(seen: Look) -> list[Finding]:
    share = seen.speech_share
    if share is None or seen.level is None:
        return []
    if seen.level.max(initial=-np.inf) < QUIETEST:
        return [Finding("speech", "problem", f"The audio is silent (nowhere above {QUIETEST:g} dBFS).")]
    text = f"{100 * share:.0f} % of the audio is speech (silero-vad)"
    if share < LITTLE:
        return [
            Finding(
                "speech", "problem", f"{text}: SyncNet scores the pauses too, in which no shift is better than another."
            )
        ]
    if share < SOME:
        return [Finding("speech", "note", f"{text}: pauses lower LSE-C, since no shift is better than another there.")]
    return [Finding("speech", "ok", f"{text}.")]


def _background(seen: Look) -> list[Finding]:
    under = seen.background
    if under is None:
        if seen.speech_share is None:
            return []
        return [Finding("background", "unknown", "Less than 1 s of speech: what sounds under it cannot be told.")]
    if under.ratio >= HEARD:
        more = "at least " if under.ratio >= HIGHEST else ""
        return [
            Finding(
                "background", "ok", f"The speech is {more}{under.ratio:.0f} dB above what sounds under it (estimate)."
            )
        ]
    what = (
        "It has pitch, like music, hum or other voices"
        if under.kind == "tonal"
        else "It has no pitch, like hiss, wind or a fan"
    )
    how = (
        "Estimated from the gaps between harmonics and syllables, to about 3 dB; strong echo in a room looks the same, and music cannot be "
        "told from voices."
    )
    if under.ratio < LOUD:
        words = (
            f"about {under.ratio:.0f} dB above"
            if under.ratio > 1
            else "as loud as"
            if under.ratio > -3
            else "quieter than"
        )
        text = (
            f"The speech is {words} what sounds under it. {what}. That can lower LSE-C and "
            f"raise LSE-D, since SyncNet hears it too. {how}"
        )
        return [Finding("background", "problem", text)]
    return [
        Finding(
            "background", "note", f"The speech is about {under.ratio:.0f} dB above what sounds under it. {what}. {how}"
        )
    ]


def _people(seen: Look) -> list[Finding]:
    tracks = seen.people.tracks
    if not tracks:
        return [Finding("people", "problem", "No face was found in any frame.")]
    long = [i for i, track in enumerate(tracks) if int(track.valid.sum()) >= LEAST]
    if len(long) < 2:
        return [Finding("people", "ok", "One face.")]
    text = f"{len(long)} faces are seen for 1 s or longer"
    if not seen.heard:
        return [Finding("people", "note", f"{text}; without audio it cannot be told who speaks.")]
    scores = ", ".join(
        f"person {i + 1} {'none' if (mouth := seen.heard[i].found) is None else f'{mouth.corr:.2f}'}" for i in long
    )
    if seen.speaker is None or not seen.sure:
        told = f"{text}; whose mouth follows the audio cannot be told surely (mouth-mel scores: {scores}). Scores follow person 1."
        return [Finding("people", "note", told)]
    who = seen.speaker + 1
    told = f"{text}, and person {who} speaks (mouth-mel scores: {scores})"
    if who == 1:
        return [Finding("people", "ok", f"{told}; this is also the largest face, which --face largest follows.")]
    return [
        Finding(
            "people",
            "problem",
            f"{told}, but --face largest follows person 1, who does not: score with --face speaking.",
        )
    ]


def _face(seen: Look) -> list[Finding]:
    if not seen.people.tracks:
        return []
    index = seen.speaker if seen.speaker is not None and seen.sure else 0
    track = seen.people.tracks[index]
    found = []
    share = 1 - float(track.valid.mean())
    side = float(np.nanmedian(track.boxes[track.valid][:, 3] - track.boxes[track.valid][:, 1]))
    who = f"Person {index + 1}'s face" if len(seen.people.tracks) > 1 else "The face"
    if share >= MISSING:
        found.append(
            Finding("face", "note", f"{who} is missing in {100 * share:.0f} % of the frames; nothing is scored there.")
        )
    if side < SMALL:
        told = f"{who} is {side:.0f} px high; SyncNet sees it enlarged to a crop of 224 px, without the detail that it was trained on."
        found.append(Finding("face", "note", told))
    return found or [
        Finding("face", "ok", f"{who} is {side:.0f} px high and seen in {100 * (1 - share):.0f} % of the frames.")
    ]


def _shots(seen: Look) -> list[Finding]:
    cuts = seen.people.cuts
    if not cuts:
        return [Finding("shots", "ok", "One shot: no cut was seen.")]
    times = ", ".join(f"{cut / FPS:.2f}" for cut in cuts[:5]) + (", ..." if len(cuts) > 5 else "")
    told = f"{len(cuts)} possible cuts (at {times} s). A score follows one person in one place; a clip for a benchmark is one shot."
    return [Finding("shots", "note", told)]


def _rate(seen: Look) -> list[Finding]:
    clip, found = seen.clip, []
    told = [note for note in clip.notes if note.startswith(("resampled", "variable rate"))]
    if told:
        more = (
            " Repeated or dropped frames move the lips by up to a frame against the audio."
            if "resampled" in told[0]
            else ""
        )
        found.append(Finding("rate", "note", f"The file has {clip.source_fps:.4g} fps; {'; '.join(told)}.{more}"))
    share = seen.held / max(clip.n_frames - 1, 1)
    moves = FPS * (1 - share)
    if share >= HELD:
        text = f"{100 * share:.0f} % of the frames repeat the frame before (at 25 fps), so the lips move {moves:.0f} times a second"
        why = (
            ", as often as the file has frames."
            if moves >= 0.9 * clip.source_fps
            else ": the video was made from a lower rate, or frames were lost on the way."
        )
        more = " SyncNet was trained on videos of 25 fps."
        found.append(Finding("rate", "problem" if share >= 3 * HELD else "note", text + why + more))
    return found or [Finding("rate", "ok", f"{clip.source_fps:.4g} fps, as metrics read it; no frame is held.")]


def _file(seen: Look) -> list[Finding]:
    facts, clip = seen.facts, seen.clip
    found = []
    if facts is not None:
        audio = "no audio track" if facts.audio_codec is None else f"{facts.audio_codec} at {facts.audio_rate} Hz"
        names = " ".join(facts.writers.values())
        writer = ""
        if "Lavf" in names or "Lavc" in names or "x264" in names:
            writer = " ffmpeg wrote it, so it is no camera's file: it was encoded or packed again at least once."
        found.append(
            Finding(
                "file",
                "ok",
                f"{facts.container.split(',')[0]}: {facts.video_codec} {clip.width}x{clip.height}, {audio}.{writer}",
            )
        )
        rate = facts.video_bit_rate if facts.video_bit_rate and facts.video_bit_rate < 1e8 else None
        if rate and rate / (clip.width * clip.height * clip.source_fps) < POOR:
            told = f"The video has {rate / 1000:.0f} kbit/s, {rate / (clip.width * clip.height * clip.source_fps):.3f} bits a pixel: mouths blur."
            found.append(Finding("file", "note", told))
        if facts.audio_rate is not None and facts.audio_rate < 16000:
            told = f"The audio has {facts.audio_rate} Hz; SyncNet was trained at 16000, and the upper half of its bands stays empty."
            found.append(Finding("file", "note", told))
    notes = [n for n in clip.notes if not n.startswith(("resampled", "variable rate"))]
    if clip.audio is not None:
        notes += clip.audio.notes
    if notes:
        found.append(Finding("file", "note", f"On reading: {'; '.join(notes)}."))
    return found
