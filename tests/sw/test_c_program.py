"""Program files in C: what Python accepts and refuses, C accepts and refuses, and never reads outside the file."""

from __future__ import annotations

import hashlib
import json
import random
import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from c_driver import Command, checked_command
from driver_programs import PROGRAM as TWO_LAYERS
from program_files import BAD_HEADERS, DATA, PROGRAM, rewritten

from ssvq.compile import compile_layer
from ssvq.program_file import (
    BadHeader,
    BadMagic,
    CorruptFile,
    ProgramFileError,
    TruncatedFile,
    UnsupportedVersion,
    program_from_bytes,
    program_to_bytes,
)
from ssvq_gen.config import PRESETS, WeightFormat
from ssvq_sim.systems.layers import random_layer

CONFIG = PRESETS["tiny"]
RESULTS: dict[type[ProgramFileError], str] = {
    BadHeader: "BAD_HEADER",
    BadMagic: "BAD_MAGIC",
    CorruptFile: "CORRUPT_FILE",
    TruncatedFile: "TRUNCATED_FILE",
    UnsupportedVersion: "UNSUPPORTED_VERSION",
}
HEADER_AT = 24


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(checked_command(CONFIG), tmp_path_factory.mktemp("programs"))


def verdicts(command: Command, files: Sequence[bytes]) -> list[tuple[str, str]]:
    """Result and message for each file, OK and nothing for a good one; the order is kept."""
    names = [f"{number:04}.program" for number in range(len(files))]
    for name, data in zip(names, files, strict=True):
        (command.folder / name).write_bytes(data)
    ran = command.plain("--check", *names)
    found = dict.fromkeys(names, ("OK", ""))
    for line in ran.error.splitlines():
        name, result, message = line.split(": ", 2)
        found[name] = result, message
    assert ran.code == any(result != "OK" for result, _ in found.values())
    good = [line.split(":")[0] for line in ran.lines if not line.startswith("job ")]
    assert good == [name for name, (result, _) in found.items() if result == "OK"]
    return list(found.values())


def framed(header: bytes, image: bytes = PROGRAM.image.tobytes()) -> bytes:
    """A file with this header and a correct digest."""
    body = struct.pack("<8sIIQ", b"SSVQPROG", 3, len(header), len(image)) + header + image
    return body + hashlib.sha256(body).digest()


def header_of(data: bytes) -> bytes:
    return data[HEADER_AT : HEADER_AT + struct.unpack_from("<I", data, 12)[0]]


def test_frames(command: Command) -> None:
    huge = DATA[:16] + struct.pack("<Q", (1 << 64) - 1) + DATA[24:]
    files = [
        *(b"", b"ELF" + DATA, DATA[:7], DATA[:23], DATA[:8] + b"\x04" + DATA[9:], DATA[:-1], DATA + b"\0", huge),
        *(DATA[:-1] + bytes([DATA[-1] ^ 1]), DATA[:900] + bytes([DATA[900] ^ 0x10]) + DATA[901:]),
        *(DATA[:12] + struct.pack("<I", (1 << 32) - 1) + DATA[16:], DATA),
    ]
    expected = []
    for data in files[:-1]:
        with pytest.raises(ProgramFileError) as caught:
            program_from_bytes(data)
        expected.append(RESULTS[caught.type])
    assert [result for result, _ in verdicts(command, files)] == [*expected, "OK"]


def test_digests_of_all_lengths(command: Command) -> None:
    """Files whose last block is full, nearly full, and all between."""
    files = [framed(header_of(DATA), PROGRAM.image.tobytes() + bytes(n)) for n in range(130)]
    messages = verdicts(command, files)
    assert all(result == "OK" or "memory_bytes" in text or "a piece" in text for result, text in messages), messages
    assert {result for result, _ in messages} == {"OK", "BAD_HEADER"}


def test_bad_headers(command: Command) -> None:
    found = verdicts(command, [rewritten(change) for change, _ in BAD_HEADERS])
    assert [result for result, _ in found] == ["BAD_HEADER"] * len(BAD_HEADERS)
    for (_, said), (_, message) in zip(BAD_HEADERS, found, strict=True):
        # What is wrong with the values is said in the same words; what is wrong with the JSON is not.
        if "must be " not in message:
            words = {"exactly once", "not within the window", "is empty", "have the", "do not exist", "in the image"}
            assert any(w in message and (w in said or "descriptors" in said or "name" in said) for w in words), message


def test_spaces_and_order_do_not_matter(command: Command) -> None:
    header = json.loads(header_of(DATA))
    header["jobs"][0]["input"]["scale"] |= {"scale": 1e-05, "gains": [0.5, 1e3, 2, 1.25e-7]}
    turned = dict(reversed(header.items()))
    texts = [
        json.dumps(turned, indent=3).encode(),
        b" \r\n\t" + json.dumps(header).encode() + b"\n ",
        json.dumps(header, separators=(" , ", "\t:\n")).encode(),
    ]
    assert verdicts(command, [framed(text) for text in texts]) == [("OK", "")] * len(texts)


def test_all_jobs_are_found_whatever_is_between_them(command: Command) -> None:
    header = json.loads(header_of(program_to_bytes(TWO_LAYERS)))
    for separators in ((",", ":"), (" ,", ":"), ("\n\t, ", " : ")):
        data = framed(json.dumps(header, separators=separators).encode(), TWO_LAYERS.image.tobytes())
        (command.folder / "spaces.program").write_bytes(data)
        lines = command.plain("--check", "spaces.program").lines
        assert [line.split(":")[0] for line in lines[1:]] == ["job up", "job down"]
    header["jobs"][1]["first_descriptor"] = 1000
    found = verdicts(
        command, [framed(json.dumps(header, separators=(" , ", ":")).encode(), TWO_LAYERS.image.tobytes())]
    )
    assert found == [("BAD_HEADER", "job 'down': 6 descriptors from 1000 do not exist")]


def test_names(command: Command) -> None:
    """Names with anything in them are found, whether they are escaped or not, and are told apart."""
    name = 'a "layer" \\ with \n, é, €, 𝄞 and \x7f'
    for ascii_only in (True, False):
        header = json.loads(header_of(program_to_bytes(TWO_LAYERS)))
        header["jobs"][0]["name"] = name
        text = json.dumps(header, ensure_ascii=ascii_only).encode()
        file = command.folder / "names.program"
        file.write_bytes(framed(text, TWO_LAYERS.image.tobytes()))
        ran = command.plain("--check", file.name)
        assert "\n".join(ran.lines[1:]).startswith(f"job {name}: 3 descriptors, input 5 x 30, output 5 x 20")
    escaped = header_of(program_to_bytes(TWO_LAYERS)).replace(b'"down"', b'"\\u0075p"')
    found = verdicts(command, [framed(escaped, TWO_LAYERS.image.tobytes())])
    assert found[0][0] == "BAD_HEADER"
    assert "two jobs have the name" in found[0][1]


def random_pieces(rng: random.Random) -> list[dict[str, Any]]:
    """A cover of 100 x 30 by pieces, or nearly one: sometimes one is changed, lost or there twice."""
    cuts = sorted({0, 100, *(rng.randrange(1, 100) for _ in range(rng.randrange(3)))})
    pieces = []
    for low, high in pairwise(cuts):
        splits = sorted({0, 30, *(rng.randrange(1, 30) for _ in range(rng.randrange(3)))})
        pieces += [{"tokens": [low, high], "channels": list(c)} for c in pairwise(splits)]
    rng.shuffle(pieces)
    offset = -(-PROGRAM.image.size // 64) * 64
    damaged = rng.random() < 0.6
    if damaged:
        index = rng.randrange(len(pieces))
        match rng.randrange(3):
            case 0:
                del pieces[index]
            case 1:
                pieces.append(pieces[index])
            case _:
                edge, side = rng.choice(("tokens", "channels")), rng.randrange(2)
                moved = list(pieces[index][edge])
                moved[side] = max(0, moved[side] + rng.choice((-1, 1)))
                pieces[index] = {**pieces[index], edge: moved}
    return [{**piece, "offset": offset} for piece in pieces]


def test_covers_are_judged_as_python_does(command: Command) -> None:
    rng = random.Random(5)
    files = []
    for _ in range(200):
        pieces = random_pieces(rng)
        files.append(rewritten(lambda header, pieces=pieces: header["jobs"][0]["input"].update(pieces=pieces)))
    expected = [python_verdict(data) for data in files]
    assert [result for result, _ in verdicts(command, files)] == expected
    assert 40 < expected.count("OK") < 160


def python_verdict(data: bytes) -> str:
    try:
        program_from_bytes(data)
    except ProgramFileError as error:
        return RESULTS[type(error)]
    return "OK"


def test_damaged_headers_are_judged_as_python_does(command: Command) -> None:
    """Bytes changed, lost, doubled or swapped for others of JSON; the digest is right, so that the reader sees them."""
    rng = random.Random(6)
    header, files = header_of(program_to_bytes(TWO_LAYERS)), []
    image = TWO_LAYERS.image.tobytes()
    for _ in range(1000):
        text = bytearray(header)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(len(text))
            match rng.randrange(4):
                case 0:
                    text[at] = rng.choice(b'0123456789{}[],:"-.eEu\\ nl')
                case 1:
                    del text[at : at + rng.choice((1, 2, 30))]
                case 2:
                    text[at:at] = text[max(0, at - rng.randrange(40)) : at]
                case _:
                    text[at] = rng.randrange(256)
        files.append(framed(bytes(text), image))
    files += [framed(header[:n], image) for n in range(0, len(header), 3)]
    found = [result for result, _ in verdicts(command, files)]
    for number, (data, result) in enumerate(zip(files, found, strict=True)):
        expected = python_verdict(data)
        # Python takes some values for which C has no room or no use; C never takes what Python refuses, but for bytes
        # that are no UTF-8 in a job's name, which it hands on.
        if result == "OK" and expected != "OK":
            assert not is_utf8(data[HEADER_AT : HEADER_AT + struct.unpack_from("<I", data, 12)[0]]), number
        if result != "OK" and expected == "OK":
            assert is_beyond_c(header_of(data)), (number, header_of(data))
    assert 5 < found.count("OK") < 500


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_beyond_c(header: bytes) -> bool:
    """Whether an object has a key twice, or one that it does not have in a program."""
    known = [
        {"config_digest", "word_bytes", "descriptor_offset", "descriptor_count", "memory_bytes", "jobs"},
        {"name", "first_descriptor", "descriptor_count", "input", "output"},
        {"tokens", "channels", "scale", "pieces"},
        {"scale", "zero_point", "gains"},
        {"offset", "tokens", "channels"},
    ]
    usual = []
    json.loads(header, object_pairs_hook=lambda pairs: usual.append(sorted(k for k, _ in pairs) in map(sorted, known)))
    return not all(usual)


def test_many_pieces(command: Command) -> None:
    layer = random_layer(
        np.random.default_rng(3), weight_format=WeightFormat.INT8, out_channels=200, in_channels=8, name="wide"
    )
    program = compile_layer(CONFIG, layer, 4000)
    assert len(program.job().input.pieces) > 60  # type: ignore[union-attr]
    (result, message), = verdicts(command, [program_to_bytes(program)])  # fmt: skip
    assert (result, message) == ("OK", "")


def test_message_of_the_first_wrong_byte(command: Command) -> None:
    header = header_of(DATA)
    at = header.index(b'"word_bytes"') + len(b'"word_bytes":')
    (_, message), = verdicts(command, [framed(header[:at] + b"x" + header[at + 1 :])])  # fmt: skip
    assert re.fullmatch(rf"byte {at} of the program's header must be a number", message)
