"""The AV-HuBERT-expert generator (Yaman et al., CVPR Workshops 2024, arXiv:2405.04327), re-implemented from the paper.

`prepare` makes training data, `train-expert` the lip expert, `train` the generator, `dub` uses it (`lipsync-eval avhubert-expert`).
"""
