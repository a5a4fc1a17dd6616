"""A few bytes of pickle ask for gigabytes: refused before torch reads them, in a process with no room."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.archives import LONGEST_PROGRAM
from groundviz.models.checkpoints.reading.pickles import check_program
from groundviz.models.checkpoints.reading.weights import Weights

ROOT = Path(__file__).parents[4]
MEBIBYTE = 1 << 20


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def whole(number):
    return b"\x8a\x08" + number.to_bytes(8, "little")


def text(letters):
    return b"X" + len(letters).to_bytes(4, "little") + letters.encode()


def under(value):
    """A state dict whose one tensor is that value."""
    return b"\x80\x02}" + text("a") + value + b"s."


def storage(numel):
    return (
        b"("
        + text("storage")
        + named("torch", "FloatStorage")
        + text("0cpu"[:1])
        + text("cpu")
        + whole(numel)
        + b"tQ"
    )


def tensor(numel, size, stride):
    hooks = named("collections", "OrderedDict") + b")R"
    places = whole(0) + whole(size) + b"\x85" + whole(stride) + b"\x85\x89" + hooks
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage(numel) + places + b"tR"


MANY = 3_000_000_000
PAIRS = b"]" + b"(" + b"".join(text(f"{k:04}") + b"N\x86" for k in range(9999)) + b"e"
BOMBS = {
    "bytearray": under(named("builtins", "bytearray") + whole(MANY) + b"\x85R"),
    "a storage": under(named("torch.storage", "UntypedStorage") + whole(MANY) + b"\x85R"),
    "a typed storage": under(named("torch", "FloatStorage") + whole(MANY) + b"\x85R"),
    "a tensor": under(named("torch", "Tensor") + whole(MANY) + b"\x85R"),
    "a new tensor": under(named("torch", "FloatTensor") + whole(MANY) + b"\x85\x81"),
    "a large storage": under(tensor(MANY, MANY, 1)),
    "a tensor beyond its storage": under(tensor(16, MANY, 1)),
    "one list many times": b"\x80\x02]("
    + PAIRS
    + b"q\x010"
    + b"".join(named("collections", "OrderedDict") + b"h\x01\x85R" for _ in range(9000))
    + b"e.",
    "one text many times": b"\x80\x02]("
    + text("x" * 500_000)
    + b"q\x010"
    + b"".join(named("_codecs", "encode") + b"h\x01" + text("utf-32") + b"\x86R" for _ in range(9000))
    + b"e.",
    "a tuple in itself": b"\x80\x02}" + b")q\x01" + b"h\x01\x86q\x01" * 60 + b"Ns.",
    "one list in many sets": b"\x80\x02]("
    + PAIRS
    + b"q\x010"
    + b"".join(named("__builtin__", "set") + b"h\x01\x85R" for _ in range(9000))
    + b"e.",
    "many lists": under(b"](" + b"](" * (LONGEST_PROGRAM // 2)),
    "many empty lists": under(b"](" + b"]" * (LONGEST_PROGRAM - 99) + b"e"),
}


def archive(place, program, parts=((b"0", bytes(64)),)):
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("archive/data.pkl", program)
        opened.writestr("archive/version", "3\n")
        for name, content in parts:
            opened.writestr(f"archive/data/{name.decode()}", content)
    return place


READ = """
import resource, sys
from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.weights import Weights
import torch
torch.ones(2) @ torch.ones(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
room = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (room, room))
for file in sys.argv[1:]:
    try:
        weights = Weights.at(file)
        outcome = str({name: weights.is_plain(name) for name in weights})
    except UnsupportedModel as error:
        outcome = "refused"
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, outcome)
"""


@pytest.mark.wide
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as on Linux")
def test_no_pickle_takes_more_than_512_megabytes_beyond_its_size(tmp_path):
    files = [str(archive(tmp_path / f"{number}.bin", BOMBS[kind])) for number, kind in enumerate(BOMBS)]
    run = subprocess.run(
        [sys.executable, "-c", READ, *files],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == len(BOMBS), run.stderr[-2000:]
    for kind, line in zip(BOMBS, lines, strict=True):
        taken, _, outcome = line.partition(" ")
        assert int(taken) < 512 * 1024, (kind, line)
        assert outcome == "refused", (kind, line)


# Torch itself refuses what lies beyond a file's end.
BEYOND = ("a large storage", "a tensor beyond its storage", "many empty lists")


@pytest.mark.parametrize("kind", [kind for kind in BOMBS if kind not in BEYOND])
def test_a_bomb_is_refused_before_torch_reads_it(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(UnsupportedModel):
        Weights.at(archive(tmp_path / "pytorch_model.bin", BOMBS[kind]))


def test_one_storage_many_times_is_refused(tmp_path):
    numbers = torch.ones(1 << 16)
    torch.save({f"a{k}": numbers.view(256, 256) for k in range(9)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UnsupportedModel, match="the same numbers again and again"):
        Weights.at(tmp_path)
    torch.save({"embedding": numbers, "head": numbers}, tmp_path / "pytorch_model.bin")
    assert len(Weights.at(tmp_path)) == 2


def test_what_training_saves_beside_tensors_is_read(tmp_path):
    model = torch.nn.Linear(3, 2).to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    held = {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": {"lr": 1e-4, "betas": (0.9, 0.999), "name": "run", "bytes": b"\x00\xff", "none": None},
        "rng": torch.get_rng_state(),
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "seen": {1, 2},
        "order": OrderedDict(a=torch.nn.Parameter(torch.ones(2))),
        "big": 2**70,
    }
    torch.save(held, tmp_path / "run.pt")
    assert sorted(Weights.at(tmp_path / "run.pt", inside="state_dict")) == ["bias", "weight"]


@pytest.mark.parametrize(
    "parts", [[("archive/data.pkl", b"x")], [("other/DATA.PKL", b"x")], [("archive/VERSION", b"4")]]
)
def test_an_archive_of_two_minds_is_refused(tmp_path, parts):
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    with pytest.warns(UserWarning) if parts[0][0] == "archive/data.pkl" else _quietly():
        with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "a") as opened:
            top = opened.namelist()[0].split("/")[0]
            for name, content in parts:
                opened.writestr(name.replace("archive", top), content)
    with pytest.raises(UnsupportedModel, match=r"contradicts itself|in one part"):
        Weights.at(tmp_path)


def _quietly():
    return io.BytesIO()


@pytest.mark.parametrize(
    "program", [b"", b"\x80\x02", b"R.", b"\x80\x02h\x05.", b"(((t", b"\x80\x02}u.", b"\x93."]
)
def test_a_program_that_is_none_is_refused(program):
    with pytest.raises(UnsupportedModel):
        check_program(program + b"\x85R")


def test_a_pickle_of_another_protocol_is_refused():
    with pytest.raises(UnsupportedModel, match=r"torch\.save does not write"):
        check_program(pickle.dumps({"a": OrderedDict()}, protocol=4))


def test_a_long_header_is_refused_before_it_is_read(tmp_path, monkeypatch):
    header = json.dumps({"__metadata__": {"x": "y" * (33 * MEBIBYTE)}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(9))
    with pytest.raises(UnsupportedModel, match=r"in 346\d+ bytes, and at most 33554432 are read"):
        Weights.at(tmp_path)
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    assert list(Weights.at(tmp_path)) == ["a"]
