"""What every trainable generator of this package needs: data, training, sync discriminators, dubbing (docs/kit.md).

Nothing here knows a particular generator. The rooms, from below:

    configuration   sections, presets, TOML
    network         StyleGAN2's layers and discriminator, VGG
    data            alignment, audio features, shards, windows
    training        losses, terms, the loop, checkpoints, several processes
    sync            a sync discriminator's training, and its use as a metric
    dubbing         new audio for a video

A room imports rooms above it in this list only (tests/project/test_rooms.py). Importing this package imports no torch.
"""
