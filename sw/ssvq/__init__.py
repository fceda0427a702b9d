"""SSVQ: sign-splitting vector quantization of PyTorch models, and the tools to run them on the generated core.

Import what you need from the subpackages: `ssvq.quantize`, `ssvq.container`, `ssvq.models`.
"""
