"""What the generator writes: complete, the same from run to run, and accepted by the tools it is meant for."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.lib import stream
from amaranth.lib.wiring import Component, Out
from stub_core import StubCore
from systemrdl import RDLCompiler

from ssvq_gen.__main__ import main
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.docs import formats_markdown
from ssvq_gen.docs import main as docs_main
from ssvq_gen.format import DESCRIPTOR_FIELDS, MATRIX_OPCODES, ErrorCode, Opcode, pack_descriptor
from ssvq_gen.generate import core_files, generate, write_files
from ssvq_gen.header import header_text
from ssvq_gen.packaging.constraints import EXAMPLES
from ssvq_gen.profile import PROFILE_STORED, PROFILE_WORD, PROFILE_WORDS
from ssvq_gen.rdl import rdl_text
from ssvq_gen.registers import COUNTERS, REGISTERS, TRAFFIC_COUNTERS
from ssvq_gen.synthesis.targets import TARGETS
from ssvq_gen.verilog import core_ports, without_zero_memories

FILES = [
    *("ssvq_core.v", "ssvq_core.h", "ssvq_core.rdl", "registers.md", "formats.md", "manifest.json"),
    *("ssvq_core.core", "ssvq_core.vlt", "synth/yosys.sh", *(f"synth/synth_{name}.ys" for name in TARGETS)),
    *("vivado/package_ip.tcl", "vivado/ssvq_core_ip.v"),
    *EXAMPLES,
]
TESTS = Path(__file__).parent
ROOTS = [TESTS, *(TESTS.parents[1] / root for root in ("gen", "rtl"))]
RUN_STUB = """
import sys, types
from stub_core import StubCore
sys.modules["ssvq_rtl.core"] = types.SimpleNamespace(SsvqCore=StubCore)
from ssvq_gen.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module", params=PRESETS.values(), ids=PRESETS)
def config(request: pytest.FixtureRequest) -> CoreConfig:
    value: CoreConfig = request.param
    return value


@pytest.mark.usefixtures("stub")
def test_files_and_manifest(tmp_path: Path) -> None:
    tiny = PRESETS["tiny"]
    core = generate(tiny, tmp_path)
    written = (path.relative_to(core.folder) for path in core.folder.rglob("*") if path.is_file())
    assert sorted(map(str, written)) == sorted(FILES)
    manifest = json.loads((core.folder / "manifest.json").read_text())
    assert CoreConfig.from_dict(manifest["config"]) == tiny
    assert manifest["digest"] == f"0x{tiny.digest:016x}"
    assert manifest["ports"][0] == {"name": "aclk", "direction": "input", "width": 1}
    assert {"name": "irq", "direction": "output", "width": 1} in manifest["ports"]
    assert [r["name"] for r in manifest["registers"]] == [r.name for r in REGISTERS]
    assert {r["name"]: r["init"] for r in manifest["registers"]}["DIGEST_LO"] == tiny.digest & 0xFFFF_FFFF
    assert manifest["opcodes"] == {o.name: o.value for o in Opcode}
    assert manifest["error_codes"]["WATCHDOG"]["value"] == ErrorCode.WATCHDOG
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((core.folder / name).read_bytes()).hexdigest() == digest
    assert set(manifest["sha256"]) == set(FILES) - {"manifest.json"}


@pytest.mark.usefixtures("stub")
def test_ports_of_the_verilog_are_those_of_the_manifest() -> None:
    files = core_files(PRESETS["edge"])
    top = re.search(r"^module ssvq_core\((.*?)\);(.*?)^endmodule", files["ssvq_core.v"], re.MULTILINE | re.DOTALL)
    assert top
    declared = {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", top[2], re.MULTILINE)
    }
    ports = json.loads(files["manifest.json"])["ports"]
    assert declared == {p["name"]: (p["direction"], p["width"]) for p in ports}
    assert {name.strip() for name in top[1].split(",")} == set(declared)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
        command = [sys.executable, "-c", RUN_STUB, "tiny", "--output", str(tmp_path / seed)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    for name in FILES:
        texts = [(tmp_path / seed / "tiny" / name).read_bytes() for seed in ("1", "2")]
        assert texts[0] == texts[1]
        assert str(tmp_path).encode() not in texts[0]


def test_only_zero_memories_lose_their_initial_values() -> None:
    zeros = "  initial begin\n    a[0] = 8'h00;\n    a[1] = 8'h00;\n  end\n"
    table = "  initial begin\n    b[0] = 8'h00;\n    b[1] = 8'h01;\n  end\n"
    escaped = "  initial begin\n    \\a$1 [0] = 16'd0;\n  end\n"
    rest = "  always @(posedge clk) begin\n    a[c] <= 8'h00;\n  end\n"
    assert without_zero_memories(f"{zeros}{rest}{table}{escaped}") == f"{rest}{table}"


@pytest.mark.usefixtures("stub")
def test_core_has_no_memory_of_zeros() -> None:
    assert not re.search(r"^ *memory\[\d+\] = ", core_files(PRESETS["tiny"])["ssvq_core.v"], re.MULTILINE)


def test_writing_is_complete_or_not_at_all(tmp_path: Path) -> None:
    write_files({"a": "1\n", "b": "1\n"}, tmp_path)
    before = (tmp_path / "a").stat().st_mtime_ns
    with pytest.raises(UnicodeEncodeError):
        write_files({"a": "2\n", "b": "\ud800"}, tmp_path)
    write_files({"a": "1\n", "b": "3\n"}, tmp_path)
    assert (tmp_path / "a").stat().st_mtime_ns == before, "an unchanged file keeps its time stamp"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "b").read_text() == "3\n"


def test_nested_ports_are_refused() -> None:
    nested = Component({"words": Out(stream.Signature(8))})
    with pytest.raises(ValueError, match=r"^ports of ssvq_core must be flat, not words\.payload$"):
        core_ports(nested)
    assert core_ports(StubCore(config=PRESETS["large"]))[-1].width == 128


@pytest.mark.parametrize("opcode", Opcode)
def test_header_compiles_and_packs_a_descriptor_as_python_does(
    tmp_path: Path, config: CoreConfig, opcode: Opcode
) -> None:
    own = [f for f in DESCRIPTOR_FIELDS if f.belongs_to(opcode) and f.name != "magic"]
    values = {f.name: f.bounds[index % 2] for index, f in enumerate(own)} | {"opcode": int(opcode)}
    assignments = "\n".join(f"SSVQ_DESCRIPTOR_SET(&d, {name.upper()}, {value});" for name, value in values.items())
    checks = "\n".join(
        f'_Static_assert(SSVQ_REG_{r.name} == {r.offset}, "{r.name}");\n'
        + "".join(f'_Static_assert(SSVQ_REG_{r.name}_{b.name}_MASK == {r.bit(b.name)}, "{b.name}");\n' for b in r.bits)
        for r in REGISTERS
    )
    checks += "".join(f'_Static_assert(SSVQ_PROFILE_WORD_{w} == {n}, "{w}");\n' for w, n in PROFILE_WORD.items())
    lists = {
        "CYCLE_COUNTERS": [name for name, _ in COUNTERS],
        "TRAFFIC_COUNTERS": [name for name, _ in TRAFFIC_COUNTERS],
        "PROFILE_STORED": PROFILE_STORED,
        "OPCODES": [o.name for o in Opcode],
        "MATRIX_OPCODES": [o.name for o in MATRIX_OPCODES],
    }
    (tmp_path / "ssvq_core.h").write_text(header_text(config))
    (tmp_path / "main.c").write_text(
        f"""
#include "ssvq_core.h"
#include "ssvq_core.h"
#include <stdio.h>
{checks}
_Static_assert(SSVQ_CONFIG_DIGEST == 0x{config.digest:x}u, "digest");
_Static_assert(SSVQ_ERROR_CODE_ABORTED == {ErrorCode.ABORTED.value}, "error");
_Static_assert(SSVQ_FORMAT_VQ == {WeightFormat.VQ.value}, "format");
_Static_assert(SSVQ_ATTENTION == {int(config.attention)} && SSVQ_VECTOR == {int(config.vector)}, "flags");
#define TEXT(name) #name " "
#define CODE(name, meaning) #name ": " meaning "\\n"
static const char *const lists[] = {{{", ".join(f"SSVQ_{name}(TEXT)" for name in lists)}, SSVQ_ERROR_CODES(CODE)}};
_Static_assert(SSVQ_PROFILE_WORDS == {PROFILE_WORDS} && SSVQ_PROFILE_DEPTH == {config.profile_depth}, "profile");
int main(void) {{
    ssvq_descriptor_t d = {{{{0xffffffffu}}}};
    SSVQ_DESCRIPTOR_SET(&d, MAGIC, SSVQ_DESCRIPTOR_MAGIC);
    {assignments}
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; ++i) fprintf(stderr, "%s\\n", lists[i]);
    if (SSVQ_DESCRIPTOR_GET(&d, TOKENS) != {values["tokens"]}u) return 1;
    return fwrite(d.words, sizeof d, 1, stdout) == 1 ? 0 : 1;
}}
"""
    )
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run(["cc", *flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    ran = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    assert ran.stdout == pack_descriptor(values)
    said = "".join(" ".join(names) + " \n" for names in lists.values())
    assert ran.stderr.decode() == said + "".join(f"{e.name}: {e.meaning}\n" for e in ErrorCode) + "\n"


def test_header_is_cplusplus_too(tmp_path: Path) -> None:
    (tmp_path / "ssvq_core.h").write_text(header_text(PRESETS["tiny"]))
    (tmp_path / "main.cpp").write_text('#include "ssvq_core.h"\nint main() { return SSVQ_ERROR_CODE_NONE; }\n')
    subprocess.run(["c++", "-std=c++20", "-Wall", "-Werror", "main.cpp", "-o", "main"], cwd=tmp_path, check=True)


def test_header_defines_each_name_once(config: CoreConfig) -> None:
    names = re.findall(r"^#define (\w+)", header_text(config), re.MULTILINE)
    assert len(names) == len(set(names))


def test_rdl_compiles_and_says_what_the_table_says(tmp_path: Path) -> None:
    tiny = PRESETS["tiny"]
    (tmp_path / "core.rdl").write_text(rdl_text(tiny))
    peakrdl = [sys.executable, "-m", "peakrdl"]
    subprocess.run([*peakrdl, "html", "core.rdl", "-o", "html"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "html" / "index.html").is_file()

    compiler = RDLCompiler()
    compiler.compile_file(str(tmp_path / "core.rdl"))
    found = {node.inst_name: node for node in compiler.elaborate().top.registers()}
    assert {name: node.absolute_address for name, node in found.items()} == {r.name: r.offset for r in REGISTERS}
    for register in REGISTERS:
        fields = {f.inst_name: f for f in found[register.name].fields()}
        assert set(fields) == ({b.name for b in register.bits} or {"VALUE"})
        for bits in register.bits:
            assert (fields[bits.name].lsb, fields[bits.name].width) == (bits.lsb, bits.width)
    assert found["DIGEST_HI"].fields()[0].get_property("reset") == tiny.digest >> 32


@pytest.mark.usefixtures("stub")
def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text('preset = "tiny"\naccumulator_depth = 32\n')
    assert main([str(tmp_path / "mine.toml"), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "mine" / "ssvq_core.v").is_file()
    assert "8 x 8 MAC" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("nano", "error: 'nano' is neither a preset (tiny, edge, base, large) nor a .toml file\n"),
        ("none.toml", "error: none.toml: [Errno 2] No such file or directory: 'none.toml'\n"),
    ],
)
def test_command_line_errors_are_one_line(config: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([config]) == 2
    assert capsys.readouterr().err == message


@pytest.mark.usefixtures("stub")
def test_command_line_says_when_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["tiny", "--output", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("error: [Errno ")


@pytest.mark.parametrize("depth", [0, 32])
def test_profile_in_the_format_reference(depth: int) -> None:
    text = formats_markdown(PRESETS["tiny"].replace(profile_depth=depth))
    rows = [f"| {number} | `{name}` |" in text for name, number in PROFILE_WORD.items()]
    assert rows == [depth > 0] * len(PROFILE_WORD)
    assert ("first 32 descriptors" in text) == (depth > 0)
    assert ("records none" in text) == (depth == 0)


def test_docs_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs_main([str(tmp_path / "registers.md")]) == 0
    assert "| `0x010` | `CONTROL` | W |" in (tmp_path / "registers.md").read_text()
    assert docs_main([]) == 2
    assert capsys.readouterr().err == "usage: python -m ssvq_gen.docs FILE\n"
