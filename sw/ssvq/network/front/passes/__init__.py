"""Clean-up of a graph from a front end: each pass is a function from a graph to one that computes the same."""

from ssvq.network.front.passes.batch_norm import fold_batch_norm
from ssvq.network.front.passes.bias import fold_bias
from ssvq.network.front.passes.channel_scale import scale_channels
from ssvq.network.front.passes.equal import merge_equal
from ssvq.network.front.passes.functions import fuse_functions
from ssvq.network.front.passes.layer_norm import fuse_layer_norm
from ssvq.network.front.passes.mask import fuse_mask
from ssvq.network.front.passes.movement import settle_movement
from ssvq.network.front.passes.names import name_nodes
from ssvq.network.front.passes.padding import fold_padding
from ssvq.network.front.passes.pooling import pool_means
from ssvq.network.front.passes.scales import gather_scales
from ssvq.network.graph import Graph

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
