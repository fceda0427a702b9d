"""All proofs."""

from ssvq_gen.config import ECP5, PRESETS

from .axi_bursts import burst_proofs
from .axi_credit import credit_proofs
from .axi_descriptors import descriptor_proofs
from .axi_lite import lite_proofs
from .axi_read import read_proofs
from .axi_store import store_proofs
from .axi_write import write_proofs
from .column import column_proofs
from .decode import decode_proofs
from .jobs import job_proofs
from .packing import packing_proofs
from .proof import Proof
from .requantize import requantizer_proofs
from .row import row_proofs
from .streams import stream_proofs

ACTIVATIONS = range(-128, 128)
_TINY, _EDGE = PRESETS["tiny"], PRESETS["edge"]
"""The cells do not depend on the size of the array, but for the rows of a segment; UltraScale+ has room for 16."""


def all_proofs() -> list[Proof]:
    """Proofs of streams, the bus, arithmetic, jobs, rows for ECP5, and packed arrays for Xilinx 7 and UltraScale+."""
    return [
        *stream_proofs(),
        *burst_proofs(),
        *credit_proofs(),
        *descriptor_proofs(),
        *read_proofs(),
        *write_proofs(),
        *store_proofs(),
        *lite_proofs(),
        *decode_proofs(),
        *column_proofs(),
        *requantizer_proofs(),
        *job_proofs(),
        *row_proofs(_TINY.replace(target=ECP5)),
        *packing_proofs(_TINY.replace(target="xc7", packed_macs=True), ACTIVATIONS),
        *packing_proofs(_EDGE.replace(target="xcup", packed_macs=True), ACTIVATIONS),
    ]
