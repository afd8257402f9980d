"""The expansion network: a window of bars to where its expansion lies, when it starts, and what came before it.

What does not belong here: its losses (`jade_training.py`), balancing them (`balancing.py`), and learning the encoder
without labels (`pretraining.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from betti.errors import BrokenArtifact, MissingFile

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COUNTDOWN_UNIT", "JadeCompact", "read_encoder", "write_encoder"]

COUNTDOWN_UNIT = 30.0  # bars; what an untrained countdown is off by, so that its head works with numbers around 1
PROJECTION = 64
TYPES = 3
# Sigmoid of these: centres lie anywhere, expansions are short. Heads that begin at a plausible answer need not first
# unlearn a wild one, and the pointers' loss begins near its usual scale.
POINTERS_START = (0.0, -2.0)
LOG_SIGMA_POINTERS = -0.30


class JadeCompact(nn.Module):
    """Bidirectional LSTM over a window, heads on its mean and on each bar; 97,547 parameters with all heads.

    Args:
        input_size: columns of a bar.
        hidden_size: width of the LSTM's state in one direction.
        num_layers: stacked LSTM layers.
        dropout: share of the inputs, and of the states between layers, set to zero in training.
        num_classes: types of what comes before an expansion.
        predict_pointers: whether it has the head for centre and length.
        predict_expansion_sequence: whether it has the heads for each bar's mask and countdown.
    """

    def __init__(
        self,
        input_size: int = 12,
        hidden_size: int = 96,
        num_layers: int = 1,
        dropout: float = 0.3,
        num_classes: int = TYPES,
        predict_pointers: bool = True,
        predict_expansion_sequence: bool = True,
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(dropout)
        # torch warns of dropout without a second layer to put it before.
        between = dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, bidirectional=True, dropout=between)
        self.projection = nn.Sequential(nn.Linear(2 * hidden_size, PROJECTION), nn.ReLU())
        self.classifier = nn.Linear(PROJECTION, num_classes)
        self.pointer_head: nn.Linear | None = None
        self.expansion_binary_head: nn.Linear | None = None
        self.expansion_countdown_head: nn.Linear | None = None
        if predict_pointers:
            self.pointer_head = nn.Linear(PROJECTION, 2)
            with torch.no_grad():
                self.pointer_head.bias.copy_(torch.tensor(POINTERS_START))
        if predict_expansion_sequence:
            self.expansion_binary_head = nn.Linear(2 * hidden_size, 1)
            self.expansion_countdown_head = nn.Linear(2 * hidden_size, 1)
        self.log_sigma_ptr = nn.Parameter(torch.tensor(LOG_SIGMA_POINTERS))
        self.log_sigma_type = nn.Parameter(torch.tensor(0.0))
        self.log_sigma_binary = nn.Parameter(torch.tensor(0.0))
        self.log_sigma_countdown = nn.Parameter(torch.tensor(0.0))

    @property
    def input_size(self) -> int:
        """Columns of a bar."""
        return self.lstm.input_size

    def log_sigmas(self) -> Tensor:
        """(4,) for pointers, type, binary and countdown; `KendallUncertainty` learns them."""
        return torch.stack([self.log_sigma_ptr, self.log_sigma_type, self.log_sigma_binary, self.log_sigma_countdown])

    def encode(self, bars: Tensor) -> Tensor:
        """(B, length, columns) to (B, length, 2 x hidden_size)."""
        states: Tensor = self.lstm(self.input_dropout(bars))[0]
        return states

    def forward(self, bars: Tensor) -> dict[str, Tensor]:
        """What the heads say of windows (B, length, columns).

        Returns:
            `logits` (B, 3) of the type; `pointers` (B, 2), centre and length as shares of the window;
            `expansion_binary_logits` and `expansion_binary` (B, length), each bar's log odds and probability of lying
            in the expansion; `expansion_countdown` (B, length), bars until it starts. Heads left out say nothing.
        """
        states = self.encode(bars)
        pooled = self.projection(states.mean(dim=1))
        said = {"logits": self.classifier(pooled)}
        if self.pointer_head is not None:
            said["pointers"] = torch.sigmoid(self.pointer_head(pooled))
        if self.expansion_binary_head is not None and self.expansion_countdown_head is not None:
            logits = self.expansion_binary_head(states).squeeze(-1)
            said["expansion_binary_logits"] = logits
            said["expansion_binary"] = torch.sigmoid(logits)
            said["expansion_countdown"] = COUNTDOWN_UNIT * self.expansion_countdown_head(states).squeeze(-1)
        return said

    def freeze_encoder(self) -> None:
        """Let only the heads learn."""
        self.lstm.requires_grad_(False)

    @classmethod
    def from_pretrained(cls, path: str | Path, *, freeze_encoder: bool = False, **sizes: Any) -> JadeCompact:
        """A fresh network on the encoder that `betti.networks.pretraining` left in a safetensors file.

        Args:
            path: the file.
            freeze_encoder: whether only the heads learn.
            sizes: what `JadeCompact` takes beside; they must give an encoder of the file's size.

        Raises:
            MissingFile: the file is not there.
            BrokenArtifact: it is no safetensors file, or an encoder of another size.
        """
        network = cls(**sizes)
        read_encoder(network, Path(path))
        if freeze_encoder:
            network.freeze_encoder()
        return network


def write_encoder(network: JadeCompact, path: Path) -> None:
    """Write the encoder's weights, and nothing of the heads, as safetensors."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in network.lstm.state_dict().items()}
    save_file(dict(sorted(weights.items())), path)


def read_encoder(network: JadeCompact, path: Path) -> None:
    """Give the network the encoder of a file that `write_encoder` wrote.

    Raises:
        MissingFile: the file is not there.
        BrokenArtifact: it is no safetensors file, or an encoder of another size.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.exists():
        raise MissingFile(path, "Make it with `betti.networks.pretraining.pretrain` and `write_encoder`")
    try:
        weights: Mapping[str, Tensor] = load_file(path)
        network.lstm.load_state_dict(weights)
    except SafetensorError as cause:
        raise BrokenArtifact(path, "is not a safetensors file") from cause
    except RuntimeError as cause:
        raise BrokenArtifact(path, f"holds no encoder of this size: {cause}") from cause
