"""Compression of the weights of PyTorch layers: SSVQ, conventional VQ, int8 and float through one interface."""

from ssvq.quantize.description import LayerDescription, LayerError, LayerKind, from_rows, to_rows
from ssvq.quantize.encode import Assignment, assign, encode, sqnr_db
from ssvq.quantize.formats import QuantizeConfig, ScaleKind, WeightFormat
from ssvq.quantize.layer import CompressedLayer, Storage
from ssvq.quantize.model import CompressionResult, LayerReport, Rule, compress_model, encode_module
from ssvq.quantize.packing import pack_bits, unpack_bits

__all__ = [
    "Assignment",
    "CompressedLayer",
    "CompressionResult",
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
    "compress_model",
    "encode",
    "encode_module",
    "from_rows",
    "pack_bits",
    "sqnr_db",
    "to_rows",
    "unpack_bits",
]
