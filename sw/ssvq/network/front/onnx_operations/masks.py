"""Conversions, and what masks are made of."""

from __future__ import annotations

import torch

from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition_masks as make
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.onnx_operations.table import TABLE, maps
from ssvq.network.tensor_type import short

TABLE["Not"] = make.negated
TABLE["Equal"] = make.equals


@maps("Cast")
def cast(b: GraphBuilder, x: Value, *, to: int, saturate: int = 1, round_mode: str = "up") -> Value:
    """Nothing, where the dtype stays; otherwise a Cast."""
    import onnx

    name = onnx.helper.tensor_dtype_to_np_dtype(to).name
    dtypes = {short(x.dtype): x.dtype, "float32": torch.float32, "bool": torch.bool}
    if name not in dtypes:
        raise UnsupportedError(f"it converts {short(x.dtype)} to {name}")
    return make.cast(b, x, dtypes[name])
