"""Clean-up of a graph from a front end: each pass is a function from a graph to one that computes the same."""

from ssvq.network.graph import Graph
from ssvq.network.passes.batch_norm import fold_batch_norm
from ssvq.network.passes.bias import fold_bias
from ssvq.network.passes.channel_scale import scale_channels
from ssvq.network.passes.equal import merge_equal
from ssvq.network.passes.functions import fuse_functions
from ssvq.network.passes.layer_norm import fuse_layer_norm
from ssvq.network.passes.mask import fuse_mask
from ssvq.network.passes.movement import settle_movement
from ssvq.network.passes.names import name_nodes
from ssvq.network.passes.padding import fold_padding
from ssvq.network.passes.pooling import pool_means
from ssvq.network.passes.scales import gather_scales

PASSES = (
    merge_equal,
    settle_movement,
    fold_bias,
    fuse_functions,
    fuse_layer_norm,
    fold_padding,
    scale_channels,
    fold_batch_norm,
    fuse_mask,
    gather_scales,
    pool_means,
    settle_movement,
    name_nodes,
)


def clean(graph: Graph) -> Graph:
    """The graph after all passes, in the smallest terms, with its final names."""
    for apply in PASSES:
        graph = apply(graph)
    return graph
