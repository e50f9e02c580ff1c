"""RADIO, the reference generator: model, data preparation, training, dubbing.

"RADIO: Reference-Agnostic Dubbing Video Synthesis", Lee, Kim, Yu, Yoo, Park. Every choice that the paper and its
supplement leave open is listed in docs/radio-choices.md. Importing this package imports no torch.
"""
