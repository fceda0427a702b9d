"""The page on formats names every field, error code and driver error, with the numbers that the objects have."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ssvq.channel_parameters import ROUNDING_MAX
from ssvq.driver import JOB_ERRORS
from ssvq_gen.arithmetic import EXPONENT_WIDTH, MANTISSA_WIDTH, MIN_SHIFT
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_gen.format import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, DRAM_ALIGNMENT, ErrorCode, Field
from ssvq_gen.profile import PROFILE_STORED, PROFILE_TIMES, PROFILE_WORD, PROFILE_WORDS
from ssvq_gen.stream_format import StreamFormat

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", DESCRIPTOR_FIELDS, ids=lambda f: f.name)
def test_descriptor_field(field: Field) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| `") and f"`{field.name}`" in line.split("|")[1]]
    names, places = row.split("|")[1:3]
    word, _, bits = places.strip().partition(": ")
    assert int(word) == field.word
    if bits:
        position = [name.strip(" `") for name in names.split(",")].index(field.name)
        assert bits.split(", ")[position] == f"{field.lsb + field.width - 1}..{field.lsb}"
    else:
        assert (field.lsb, field.width) == (0, 32)


@pytest.mark.parametrize("code", [c for c in ErrorCode if c is not ErrorCode.NONE])
def test_error_code(code: ErrorCode) -> None:
    (row,) = [line for line in PAGE.splitlines() if f"`{code.name}` {int(code)}" in line]
    assert f"`{JOB_ERRORS[code].__name__}`" in row


def test_profile() -> None:
    section = PAGE[PAGE.index("## Profile") :]
    for name, _ in PROFILE_TIMES:
        assert f"\n| {PROFILE_WORD[name]} | `{name}` |" in section
    first, *_, last = PROFILE_STORED
    assert f"| {PROFILE_WORD[first]} to {PROFILE_WORD[last]} | the classes of cycles, but the last |" in section
    assert f"`{first}` to `{last}` in the order of the registers" in section
    assert f"`PROFILE_WORDS` = {PROFILE_WORDS} words" in section
    assert f"`{PROFILE_WORDS} * i + w`" in section


def test_numbers() -> None:
    assert f"descriptors of {DESCRIPTOR_BYTES} bytes" in PAGE
    assert f"multiples of {DRAM_ALIGNMENT}" in PAGE
    for narrow_bias, shared_multiplier in itertools.product((0, 1), repeat=2):
        f = StreamFormat(
            config=PRESETS["tiny"],
            weight_format=WeightFormat.INT8,
            narrow_bias=bool(narrow_bias),
            shared_multiplier=bool(shared_multiplier),
        )
        flags = f"    {narrow_bias}            {shared_multiplier}"
        row = f"{flags}                  {f.parameter_width}    | bias, {f.bias_width} bits |"
        multiplier = f" mantissa, {MANTISSA_WIDTH} bits | exponent, {EXPONENT_WIDTH} bits |"
        assert row + ("" if shared_multiplier else multiplier) + "\n" in PAGE
    assert f"more than 1/{round(1 / ROUNDING_MAX)} of its step" in PAGE
    assert f"shift       = {MIN_SHIFT} + exponent" in PAGE
    assert f"{MANTISSA_WIDTH}-bit mantissa" in PAGE
