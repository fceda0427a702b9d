"""Compression of the weights of PyTorch layers: SSVQ, conventional and masked VQ, integers and float alike."""

from ssvq.quantize.description import (
    LayerDescription,
    LayerError,
    LayerKind,
    canonical_weight,
    from_canonical,
    from_rows,
    to_rows,
)
from ssvq.quantize.encode import Assignment, assign, encode, sqnr_db
from ssvq.quantize.formats import ClipKind, QuantizeConfig, ScaleKind, WeightFormat
from ssvq.quantize.importance import expand_importance
from ssvq.quantize.layer import Activation, CompressedLayer
from ssvq.quantize.masks import choose_mask, pack_mask, pattern_bits, unpack_mask
from ssvq.quantize.model import CompressionResult, LayerReport, compress_layers, compress_model, encode_module
from ssvq.quantize.packing import pack_bits, unpack_bits
from ssvq.quantize.rules import Layer, Rule, select_layers
from ssvq.quantize.storage import Storage
from ssvq.quantize.uniform import round_uniform, uniform_scale

__all__ = [
    "Activation",
    "Assignment",
    "ClipKind",
    "CompressedLayer",
    "CompressionResult",
    "Layer",
    "LayerDescription",
    "LayerError",
    "LayerKind",
    "LayerReport",
    "QuantizeConfig",
    "Rule",
    "ScaleKind",
    "Storage",
    "WeightFormat",
    "assign",
    "canonical_weight",
    "choose_mask",
    "compress_layers",
    "compress_model",
    "encode",
    "encode_module",
    "expand_importance",
    "from_canonical",
    "from_rows",
    "pack_bits",
    "pack_mask",
    "pattern_bits",
    "round_uniform",
    "select_layers",
    "sqnr_db",
    "to_rows",
    "uniform_scale",
    "unpack_bits",
    "unpack_mask",
]
