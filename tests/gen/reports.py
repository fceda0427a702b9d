"""Reports of syntheses that nobody ran."""

from ssvq_gen.synthesis.blocks import Block
from ssvq_gen.synthesis.report import Report
from ssvq_gen.synthesis.targets import RESOURCES


def report(*, target: str = "xc7", **resources: int) -> Report:
    """A report without faults of a core that takes these resources."""
    return Report(
        target=target,
        seconds=1.0,
        blocks=(Block(path="", resources={**dict.fromkeys(RESOURCES, 0), **resources}),),
        dsps={},
        dsps_expected={},
        memories=(),
        flipflop_memories=(),
        latches=(),
    )
