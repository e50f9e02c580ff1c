"""LatentSync 1.6 (Li et al., 2024)."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="latentsync",
    title="LatentSync",
    repository="bytedance/LatentSync",
    commit="a229c3948406bc2cf6eaf4873e662e70c6a04746",
    licence="Apache-2.0",
    paper="arXiv:2412.09262",
    python="3.10",
    torch="see requirements.txt",
    weights=(
        Weights(
            file="checkpoints/latentsync_unet.pt",
            where="setup_env.sh of the repository (ByteDance/LatentSync-1.6)",
            option="checkpoint",
        ),
        Weights(file="checkpoints/whisper/tiny.pt", where="setup_env.sh of the repository"),
    ),
    imports=("torch", "cv2", "diffusers", "omegaconf", "insightface"),
    entry="scripts/inference.py",
    gpu=True,
    fps="converted to 25 in, 25 out",
    resolution="512x512 face (256 with another config), pasted back",
    audio="16 kHz (whisper)",
    reference="own-frame",
    needs=("video", "audio"),
    options={
        "checkpoint": "[checkpoints/latentsync_unet.pt]",
        "config": "[configs/unet/stage2_512.yaml]",
        "steps": "denoising steps [20]",
        "guidance": "guidance scale [1.5]",
        "deepcache": "0: without DeepCache [1]",
    },
    checked="options compared with scripts/inference.py and inference.sh at the commit; not run (CUDA only)",
    notes=("the run's seed is handed on",),
)


def command(job: Job) -> list[str]:
    """scripts.inference as in inference.sh."""
    line = [
        *job.python,
        "-m",
        "scripts.inference",
        "--unet_config_path",
        job.options.get("config", "configs/unet/stage2_512.yaml"),
        "--inference_ckpt_path",
        job.file("checkpoint", "checkpoints/latentsync_unet.pt"),
        "--inference_steps",
        job.options.get("steps", "20"),
        "--guidance_scale",
        job.options.get("guidance", "1.5"),
        "--seed",
        str(job.seed),
        "--temp_dir",
        str(job.work / "temp"),
        "--video_path",
        str(job.video_mp4),
        "--audio_path",
        str(job.audio),
        "--video_out_path",
        str(job.output),
    ]
    return line if job.options.get("deepcache") == "0" else [*line, "--enable_deepcache"]


ADAPTER = Adapter(record=RECORD, command=command)
