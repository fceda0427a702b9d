"""Small models for commands, in a file of their own as a user has them, and what the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import torch
from typer.testing import CliRunner, Result

from ssvq.cli import app

MODELS = """
import torch
from torch import nn
from ssvq.models.vision_transformer import VisionTransformer

def vit(classes=10):
    return VisionTransformer(
        image_size=14, patch_size=7, in_channels=1, width=16, depth=1, heads=2, mlp_ratio=2, classes=classes
    )

class Words(nn.Module):
    '''The host looks up and sorts, in the middle and at the end.'''

    def __init__(self):
        super().__init__()
        self.table, self.first, self.second, self.head = nn.Embedding(50, 16), *(nn.Linear(16, 16) for _ in range(3))

    def forward(self, ids):
        x = torch.relu(self.first(self.table(ids)))
        return self.head(self.second(x.softmax(1)) + x), self.head(x).argmax(2)

def words():
    return Words()

class Sorted(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return self.fc(self.fc(x).sort(1).values)

def ordered():
    return Sorted()

class Split(nn.Module):
    '''The host in the middle.'''

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.second(x.softmax(1)) + x

def split():
    return Split()

def infinite():
    model = vit()
    with torch.no_grad():
        model.head.weight[0, 0] = torch.inf
    return model

def nothing():
    return nn.ReLU()
"""
VIT = (1, 1, 14, 14)


def run(*arguments: object) -> Result:
    """The command in this process."""
    torch.set_num_threads(1)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result) -> str:
    """The one line of an error, of bad input."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    return line


def model_file(folder: Path) -> Path:
    """The models in a file."""
    path = folder / "models.py"
    path.write_text(MODELS)
    return path


def model(folder: Path, name: str) -> list[str]:
    """MODEL and its input shapes, as arguments."""
    shape = {"words": "1,9:int64", "ordered": "1,4,8", "split": "1,9,16", "nothing": "1,4"}.get(name, "1,1,14,14")
    return [f"file:{model_file(folder)}:{name}", "--input-shape", shape]
