"""How metrics are written in tables: heading and decimals by id."""

from __future__ import annotations

ARROWS = {"up": "↑", "down": "↓", "zero": "→0"}

_HEADINGS = {
    "psnr": ("PSNR", 2),
    "psnr_pooled": ("PSNR (pooled)", 2),
    "psnr_uint8wrap": ("PSNR (uint8 wrap)", 2),
    "ssim": ("SSIM", 3),
    "ms_ssim": ("MS-SSIM", 3),
    "lpips": ("LPIPS", 3),
    "fid": ("FID", 2),
    "fid_clean": ("clean-FID", 2),
    "lmd": ("LMD", 3),
    "lmd_centered": ("LMD (centred)", 3),
    "lmd_norm": ("LMD (norm.)", 4),
    "f_lmd": ("F-LMD", 3),
    "lmd_atvg_sum": ("LMD (ATVG sum)", 3),
    "lse_c": ("LSE-C", 3),
    "lse_d": ("LSE-D", 3),
    "av_offset": ("AV offset", 1),
    "mouth_audio_corr": ("Mouth-audio corr.", 3),
    "mouth_audio_offset": ("Mouth-audio offset", 1),
    "avs_u": ("AVS_u", 3),
    "avs_m": ("AVS_m", 3),
    "avs_v": ("AVS_v", 3),
    "csim": ("CSIM", 3),
    "csim_ref": ("CSIM (ref.)", 3),
    "stylesim": ("StyleSim", 3),
    "sync_cosine": ("Sync", 3),
    "mos_visual": ("Visual MOS", 2),
    "mos_sync": ("Sync MOS", 2),
    "mos_persona": ("Persona MOS", 2),
    "mos_overall": ("Overall MOS", 2),
    "mos_realness": ("Realness MOS", 2),
}
_DOWN = {"lpips", "fid", "fid_clean", "lmd", "lmd_centered", "lmd_norm", "f_lmd", "lmd_atvg_sum", "lse_d"}
_ZERO = {"av_offset", "mouth_audio_offset"}
STARRED = frozenset({"lse_c", "lse_d"})
"""Metrics on which nearness to the real videos' own score is worth a mark (RADIO's table 1)."""


def heading(metric: str) -> str:
    """'lse_c' -> 'LSE-C'; an unknown id stands for itself."""
    return _HEADINGS.get(metric, (metric, 3))[0]


def decimals(metric: str) -> int:
    """Digits after the point."""
    return _HEADINGS.get(metric, (metric, 3))[1]


def direction(metric: str) -> str:
    """Direction of a published number, which carries none: 'up', 'down' or 'zero'."""
    return "down" if metric in _DOWN else "zero" if metric in _ZERO else "up"
