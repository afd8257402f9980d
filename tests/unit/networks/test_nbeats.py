from __future__ import annotations

import pytest
import torch
from torch import nn

from betti.errors import BadModelInput, UnknownName
from betti.networks.nbeats import (
    BASES,
    AttentionBlock,
    ComplexityEncoder,
    OHLCVNBEATSEncoder,
    StackAttention,
    TDAEncoder,
)


def small(**knobs) -> OHLCVNBEATSEncoder:
    torch.manual_seed(0)
    sizes = {"input_size": 10, "num_channels": 3, "hidden_size": 32, "num_blocks": 2, "num_layers": 1}
    return OHLCVNBEATSEncoder(**{**sizes, **knobs}).eval()


def test_stacks_are_doubly_residual():
    encoder = small(attention="none")
    bars = torch.randn(4, 10, 3)
    rest = encoder.norm(bars.transpose(1, 2)).transpose(1, 2).flatten(1)
    forecasts = []
    for stack in encoder.stacks:
        whole = torch.zeros(4, 8)
        for block in stack.blocks:
            hidden = block.layers(rest)
            whole = whole + block.forecast(hidden)
            rest = rest - block.backcast(hidden)
        forecasts.append(whole)
    torch.testing.assert_close(encoder(bars), torch.cat(forecasts, dim=1))


def test_windows_are_flattened_bar_after_bar():
    """So that place in the stretch is time, which trends and seasons are functions of."""
    encoder, seen = small(), []
    encoder.stacks[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    bars = torch.randn(2, 10, 3)
    encoder(bars)
    torch.testing.assert_close(seen[0], bars.reshape(2, 30), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "coefficients"), [("trend", 4), ("seasonality", 10), ("generic", 32)])
def test_a_basis_spreads_its_coefficients(kind, coefficients):
    basis = BASES[kind]
    assert basis.coefficients == coefficients
    assert basis.over(50)(torch.randn(2, coefficients)).shape == (2, 50)


def test_fixed_bases_are_the_published_functions():
    time = torch.arange(20) / 20
    turned = BASES["seasonality"].over(20)(torch.eye(10))
    torch.testing.assert_close(turned[2], torch.cos(2 * torch.pi * 3 * time), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned[9], torch.sin(2 * torch.pi * 5 * time), atol=1e-5, rtol=0)
    torch.testing.assert_close(BASES["trend"].over(20)(torch.eye(4))[3], time**3)


def test_fixed_bases_are_not_stored():
    assert not [name for name in small().state_dict() if "basis" in name]


def test_attention_to_a_single_token_is_a_linear_map():
    block = AttentionBlock(16).eval()
    one, other = torch.randn(1, 16), torch.randn(1, 16)

    def attended(encoding):
        token = encoding[:, None]
        return block.attention(token, token, token)[0][:, 0]

    middle = attended(0.3 * one + 0.7 * other)
    torch.testing.assert_close(middle, 0.3 * attended(one) + 0.7 * attended(other), atol=1e-6, rtol=1e-5)


def test_attention_over_stacks_chooses_among_them():
    """Each token looks at all: a change in one stack reaches what comes out of another."""
    block = StackAttention(8).eval()
    encoding = torch.randn(1, 32)
    changed = encoding.clone()
    changed[:, 24:] += 1
    assert not torch.allclose(block(encoding)[:, :8], block(changed)[:, :8])
    single = sum(one.numel() for one in AttentionBlock(1024).parameters())
    assert sum(one.numel() for one in StackAttention(256).parameters()) == (single - 3 * 1024 * 2) // 16 + 3 * 256 * 2


def test_what_it_refuses():
    with pytest.raises(UnknownName, match="kind of stack 'trends'"):
        small(stack_types=("trends",))
    with pytest.raises(UnknownName, match="attention 'multi'"):
        small(attention="multi")
    with pytest.raises(BadModelInput, match="hidden_size = 30"):
        small(hidden_size=30)


def test_small_encoders_normalise_each_layer():
    for encoder, columns in ((TDAEncoder(), 214), (ComplexityEncoder(), 6)):
        kinds = [type(layer) for layer in encoder.layers if not isinstance(layer, nn.Dropout)]
        assert kinds == 2 * [nn.Linear, nn.LayerNorm, nn.ReLU]
        found = encoder.eval()(torch.randn(3, columns))
        assert (found >= 0).all() and torch.isfinite(found).all()
