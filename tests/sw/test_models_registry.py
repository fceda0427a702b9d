"""Models by name."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from optional_data import loaded_or_skip
from torch import nn

from ssvq.models import CheckpointError, MissingPackageError, ModelSpecError, load_model
from ssvq.models.minilm import MiniLM
from ssvq.models.registry import FACTORIES
from ssvq.models.vision_transformer import VisionTransformer, fashion_vit

USERS_FILE = """
from torch import nn

class Net(nn.Sequential):
    pass

def make(width=3, **more):
    return Net(nn.Linear(width, 2))

def strict(*, width: int):
    return make(width)

def number():
    return 7

nothing = 5
"""


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(USERS_FILE)
    return path


def test_own_models() -> None:
    model = load_model("fashion_vit", options={"classes": 4})
    assert isinstance(model, VisionTransformer)
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 4)
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_pretrained_model_can_be_trained() -> None:
    model = loaded_or_skip(lambda: load_model("minilm"))
    assert isinstance(model, MiniLM)
    tokens, mask = model.train().tokenize(["a cat", "the cat sat on the mat"])
    embeddings = model.embed_tokens(tokens, mask)
    target = model.embed(["a cat", "the cat sat on the mat"])
    torch.testing.assert_close(embeddings.detach(), target)
    (embeddings @ target.flip(0).T).sum().backward()
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert all(linear.weight.grad is not None and linear.weight.grad.any() for linear in linears)


@pytest.mark.parametrize("name", FACTORIES)
def test_every_name_is_there(name: str) -> None:
    if name == "vit_s_saliency":
        pytest.importorskip("onnx", reason="onnx, of the extra `models`, is not installed")
    factory = FACTORIES[name]
    assert callable(getattr(importlib.import_module(f"ssvq.models.{factory.module}"), factory.function))


def test_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(3)
    weights = fashion_vit().state_dict()
    torch.save({"model": weights}, tmp_path / "c.pth")
    model = load_model("fashion_vit", options={"checkpoint": str(tmp_path / "c.pth")})
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(CheckpointError, match=r"of another shape head\.weight \(10, 96\) for \(9, 96\), head\.bias"):
        load_model("fashion_vit", options={"checkpoint": tmp_path / "c.pth", "classes": 9})


def test_a_users_file(users_file: Path) -> None:
    model = load_model(f"file:{users_file}:make", options={"width": 5, "anything": 1})
    assert model(torch.zeros(1, 5)).shape == (1, 2)
    assert sys.modules[type(model).__module__].__file__ == str(users_file)
    assert load_model(f"file:{users_file}:strict", options={"width": 5})(torch.zeros(1, 5)).shape == (1, 2)


def test_a_users_file_imports_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_a_model.py").write_text("WIDTH = 7")
    text = (
        "from torch import nn\nfrom neighbour_of_a_model import WIDTH\n\ndef make():\n    return nn.Linear(WIDTH, 2)\n"
    )
    (tmp_path / "own.py").write_text(text)
    before = list(sys.path)
    assert load_model(f"file:{tmp_path / 'own.py'}:make")(torch.zeros(1, 7)).shape == (1, 2)
    assert sys.path == before


def test_a_users_file_that_is_wrong(users_file: Path, tmp_path: Path) -> None:
    refused = {
        f"file:{users_file}": r"model must be file:PATH\.py:FUNCTION, not 'file:.*net\.py'",
        f"file:{users_file}:3": r"model must be file:PATH\.py:FUNCTION, not",
        f"file:{tmp_path}/none.py:make": r"the model's file must exist, not '.*none\.py'",
        f"file:{users_file}:nothing": r"net\.py must have a function 'nothing'",
        f"file:{users_file}:number": r"net\.py:number must be a torch\.nn\.Module, not int",
    }
    for spec, message in refused.items():
        with pytest.raises(ModelSpecError, match=message):
            load_model(spec)
    with pytest.raises(ModelSpecError, match=r"net\.py:strict must be of checkpoint, width, not 'depth'"):
        load_model(f"file:{users_file}:strict", options={"depth": 1})
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module_at_all")
    before = set(sys.modules)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        load_model(f"file:{broken}:make")
    assert set(sys.modules) == before


def test_refuses() -> None:
    with pytest.raises(ModelSpecError, match=r"model must be one of deit_tiny, .*, not 'vgg16'"):
        load_model("vgg16")
    with pytest.raises(ModelSpecError, match=r"model must be a name, timm:NAME or file:PATH\.py:FUNCTION, not 'hub:x'"):
        load_model("hub:x")
    with pytest.raises(ModelSpecError, match=r"options of model resnet18 must be of checkpoint, classes, not 'width'"):
        load_model("resnet18", options={"width": 3})
    with pytest.raises(ModelSpecError, match=r"checkpoint must be the path of a file, not 3"):
        load_model("resnet18", options={"checkpoint": 3})


def test_missing_packages_give_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackageError, match=r"model timm:resnet18 needs timm; run: pip install timm"):
        load_model("timm:resnet18")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "ssvq.models.saliency", raising=False)
    with pytest.raises(MissingPackageError, match=r"model vit_s_saliency needs onnx; run: pip install 'ssvq-core\["):
        load_model("vit_s_saliency")


def test_timm_through_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = ModuleType("timm")
    made: list[tuple[str, dict[str, object]]] = []

    def create_model(name: str, **arguments: object) -> nn.Module:
        made.append((name, arguments))
        return nn.Linear(1, 1)

    for name, value in {
        "is_model": lambda name: name == "net",
        "list_models": lambda pattern: ["resnet", "net"] if pattern == "*ne*" else [],
        "create_model": create_model,
    }.items():
        setattr(timm, name, value)
    monkeypatch.setitem(sys.modules, "timm", timm)
    load_model("timm:net.tag", options={"pretrained": True})
    assert made == [("net.tag", {"pretrained": True})]
    with pytest.raises(ModelSpecError, match=r"timm has no model 'ne'; it has resnet, net"):
        load_model("timm:ne")


@pytest.mark.parametrize("name", ["deit_tiny", "resnet18"])
def test_same_as_timms(name: str, tmp_path: Path) -> None:
    pytest.importorskip("timm", reason="timm, which is no dependency, is not installed")
    theirs = load_model(f"timm:{'deit_tiny_patch16_224' if name == 'deit_tiny' else name}")
    torch.save(theirs.state_dict(), tmp_path / "c.pth")
    ours = load_model(name, options={"checkpoint": tmp_path / "c.pth"})
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
