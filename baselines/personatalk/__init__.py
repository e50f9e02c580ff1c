"""PersonaTalk: style-aware geometry from speech, and a dual-attention renderer.

"PersonaTalk: Bring Attention to Your Persona in Visual Dubbing", Zhang, Liang, Ge, Hu, SIGGRAPH Asia 2024
(arXiv:2409.05379). Every choice that the paper leaves open is listed in docs/personatalk-generator.md. Importing this
package imports no torch.
"""
