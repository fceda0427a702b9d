"""How the tensors of a layer are in a container: which there are, and which of them are packed.

See `ssvq.container` for the format.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ssvq.quantize.description import LayerDescription
from ssvq.quantize.formats import WeightFormat
from ssvq.quantize.masks import pack_mask, pattern_bits, unpack_mask
from ssvq.quantize.packing import pack_bits, packed_bytes, unpack_bits

StoredShape = tuple[torch.dtype, tuple[int, ...]]


def stored_tensors(layer: LayerDescription, scale_count: int, *, has_bias: bool) -> dict[str, StoredShape]:
    """dtype and shape in the file of every tensor of a layer."""
    stored: dict[str, StoredShape] = {}
    for field, (dtype, shape) in layer.weight_tensors().items():
        packing = _packing(layer, field, shape)
        stored[field] = (dtype, shape) if packing is None else (torch.uint8, (packed_bytes(*packing),))
    if layer.format is not WeightFormat.FLOAT:
        stored["scale"] = (torch.float32, (scale_count,))
    if has_bias:
        stored["bias"] = (torch.float32, (layer.weight_shape[0],))
    return stored


def store_tensor(layer: LayerDescription, field: str, tensor: Tensor) -> Tensor:
    """A field of a `CompressedLayer` as it is in the file."""
    tensor = tensor.detach().cpu().contiguous()
    packing = _packing(layer, field, tuple(tensor.shape))
    if packing is None:
        return tensor
    if field == "mask" and layer.pattern is not None:
        return pack_mask(tensor, *layer.pattern)
    _, width = packing
    if field == "weight_int8":
        tensor = tensor.to(torch.int16) & ((1 << width) - 1)
    return pack_bits(tensor, width)


def restore_tensor(layer: LayerDescription, field: str, stored: Tensor) -> Tensor:
    """Inverse of `store_tensor`.

    Raises:
        ValueError: a packed tensor has unused bits that are not zero, or numbers of patterns that there are not.
    """
    if field not in layer.weight_tensors():
        return stored
    dtype, shape = layer.weight_tensors()[field]
    packing = _packing(layer, field, shape)
    if packing is None:
        return stored
    if field == "mask" and layer.pattern is not None:
        return unpack_mask(stored, *layer.pattern, math.prod(shape)).view(shape)
    count, width = packing
    values = unpack_bits(stored, width, count)
    if field == "weight_int8":
        sign = 1 << (width - 1)
        values = (values ^ sign) - sign
    return values.view(shape).to(dtype)


def _packing(layer: LayerDescription, field: str, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Number of values and bits of each of a field that is packed; None for the others."""
    count = math.prod(shape)
    if field == "indices" and layer.codebook_size is not None:
        return count, layer.codebook_size.bit_length() - 1
    if field == "signs":
        return count, 1
    if field == "mask" and layer.pattern is not None:
        keep, group = layer.pattern
        return count // group, pattern_bits(keep, group)
    if field == "weight_int8" and layer.format is not WeightFormat.INT8:
        return count, layer.format.bits
    return None
