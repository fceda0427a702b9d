"""`python -m ssvq_sim.fuzz.worker JOB`: a process that fuzzes one target; a reader that kills it kills nothing else."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from pathlib import Path

import atheris

from .examples import BLOCK, run_block
from .execution import Judge
from .findings import FindingFolder
from .guided import run_guided
from .scratch import folder as scratch_folder
from .status import Status
from .target import find_target, module_of
from .worker_job import CORPUS_FOLDER, FINDINGS_FOLDER, STATUS_FILE, Job

INSTRUMENTED = ("ssvq", "ssvq_gen")


class Worker:
    """Carries out a job."""

    def __init__(self, job: Job) -> None:
        self._job, folder = job, Path(job.folder)
        self._status = Status(folder / STATUS_FILE)
        self._findings = FindingFolder(folder / FINDINGS_FOLDER)
        self._corpus = folder / CORPUS_FOLDER
        self._corpus.mkdir(exist_ok=True)
        with atheris.instrument_imports(include=[*INSTRUMENTED, module_of(job.target)]):
            self._target = find_target(job.target)
            self._judge = Judge(self._target, scratch_folder(), seconds=job.input_seconds)
            self._judge.warm_up()

    def run(self) -> None:
        """Examples, then guided executions, each as many as the job says; ends the process."""
        block = self._job.first_block
        while (left := self._job.examples - self._status.examples) > 0:
            before = self._status.examples
            run_block(self._target, block, min(left, BLOCK), self._example)
            if self._status.examples == before:
                break
            block += 1
        self._begin = time.process_time()
        if self._job.executions:
            run_guided(self._target, self._corpus, seed=self._job.seed, read=self._execution)

    def _example(self, content: bytes) -> None:
        if self._status.examples < self._job.examples:
            self._status.examples += 1
            self._read(content)

    def _execution(self, content: bytes) -> None:
        self._status.seconds = time.process_time() - self._begin
        if self._status.executions >= self._job.executions or self._status.seconds >= self._job.seconds:
            self._status.save()
            os._exit(0)  # libFuzzer has no other end
        self._status.executions += 1
        self._read(content)

    def _read(self, content: bytes) -> None:
        self._status.begin(content)
        finding = self._judge.finding(content)
        if finding is not None:
            self._findings.add(finding, content)


if __name__ == "__main__":
    faulthandler.enable()
    Worker(Job(**json.loads(sys.argv[1]))).run()
