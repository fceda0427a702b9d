"""A core that records every descriptor of a network's programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ssvq.program import Program, ProgramError
from ssvq_gen.config import CoreConfig

PROFILE_DEPTH_MIN, PROFILE_DEPTH_MAX = 2, 4096
"""See `CoreConfig`."""


def profiling_core(config: CoreConfig, programs: Iterable[Program]) -> CoreConfig:
    """The core with as many rows of profile as the longest program has descriptors, at most 4096.

    It is another one to simulate: its digest differs, and it has to be built. A recorded matrix descriptor takes up to
    5 cycles more than one that is not, which is what such a core adds to a run.
    """
    count = min(max((program.descriptor_count for program in programs), default=0), PROFILE_DEPTH_MAX)
    depth = PROFILE_DEPTH_MIN
    while depth < count:
        depth *= 2
    return config if count <= config.profile_depth else config.replace(profile_depth=depth)


def on_core(program: Program, config: CoreConfig, other: CoreConfig) -> Program:
    """A program for `config` on a core that differs from it in `profile_depth` alone. Raises ProgramError."""
    if program.config_digest != config.digest:
        raise ProgramError(f"the program was not compiled for the configuration {config.name!r}")
    if config.replace(profile_depth=other.profile_depth).digest != other.digest:
        raise ProgramError(f"{other.name!r} must differ from {config.name!r} in profile_depth alone")
    return replace(program, config_digest=other.digest)
