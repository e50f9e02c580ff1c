"""StyleSync (Guan et al., CVPR 2023): the generalised model G, the personalised model P, and Wav2Lip-H. See docs/stylesync.md."""
