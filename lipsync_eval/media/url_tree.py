"""The clips in a folder by URL, and the audio files beside them."""

from __future__ import annotations

from pathlib import PurePosixPath

from lipsync_eval.media.fetch import listed
from lipsync_eval.media.names import is_audio, is_video, key
from lipsync_eval.media.tree import Tree
from lipsync_eval.urls import Url


def find_url_clips(root: Url) -> Tree[Url]:
    """Videos below a folder by URL, called as those of a folder on disk are. Folders of images are no clips here.

    Raises:
        PairingError: the folder cannot be listed.
    """
    tree = Tree(root)
    for name, url in listed(root):
        tree.entries += 1
        if any(part.startswith(".") for part in name.split("/")):
            continue
        clip = key(PurePosixPath(name).with_suffix("").as_posix())
        if is_video(url):
            tree.clips.setdefault(clip, []).append(url)
            continue
        if is_audio(url):
            tree.audio.setdefault(clip, []).append(url)
        tree.others[url.suffix.lower() or "no suffix"] += 1
    return tree
