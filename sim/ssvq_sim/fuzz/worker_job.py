"""What a worker is told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

STATUS_FILE, CORPUS_FOLDER, FINDINGS_FOLDER = "status", "corpus", "findings"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker does.

    Parameters
    ----------
    target : name of the reader
    folder : of its files
    first_block : number of the first block of examples
    examples, executions : most inputs of each way
    seconds : most processor time for guided executions
    input_seconds : processor time for one input
    seed : of libFuzzer
    """

    target: str
    folder: str
    first_block: int
    examples: int
    executions: int
    seconds: float
    input_seconds: float
    seed: int

    def to_argument(self) -> str:
        """As it is on the command line."""
        return json.dumps(asdict(self))
