"""A core that records every descriptor of a program."""

from __future__ import annotations

from dataclasses import replace

from ssvq.program import Program
from ssvq_gen.config import CoreConfig

PROFILE_DEPTH_MIN, PROFILE_DEPTH_MAX = 2, 4096
"""See `CoreConfig`."""


def profiled(program: Program, config: CoreConfig) -> tuple[Program, CoreConfig]:
    """The same program for the same core with as many rows of profile as it has descriptors, at most 4096.

    The core is another one to simulate: its digest differs, and it has to be built. A recorded matrix descriptor takes
    up to 5 cycles more than one that is not, which is what such a core adds to a run.
    """
    depth = PROFILE_DEPTH_MIN
    while depth < min(program.descriptor_count, PROFILE_DEPTH_MAX):
        depth *= 2
    if depth <= config.profile_depth:
        return program, config
    deeper = config.replace(profile_depth=depth)
    return replace(program, config_digest=deeper.digest), deeper
