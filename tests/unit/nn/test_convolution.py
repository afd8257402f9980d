from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from betti.nn.convolution import CausalConvolution, TemporalStack, receptive_field


def moved(network: torch.nn.Module, length: int, channels: int, at: int) -> list[int]:
    """The steps of the outcome that change when one step of the input does."""
    torch.manual_seed(0)
    steps = torch.randn(1, channels, length)
    other = steps.clone()
    other[..., at] += 1.0
    with torch.no_grad():
        change = (network(steps) - network(other)).abs().amax(dim=(0, 1))
    return torch.nonzero(change).ravel().tolist()


@given(kernel=st.integers(2, 4), dilation=st.integers(1, 4), at=st.integers(0, 11))
def test_a_layer_sees_the_past_alone_and_just_as_far_as_it_says(kernel: int, dilation: int, at: int) -> None:
    layer = CausalConvolution(3, 5, kernel, dilation)
    assert moved(layer, 12, 3, at) == [at + k * dilation for k in range(kernel) if at + k * dilation < 12]


@settings(deadline=None, max_examples=15)
@given(kernel=st.integers(2, 3), blocks=st.integers(1, 3), at=st.integers(0, 40))
def test_a_stack_sees_the_past_alone_and_its_field(kernel: int, blocks: int, at: int) -> None:
    stack = TemporalStack(2, 8, blocks, kernel, dropout=0.0).eval()
    assert stack.receptive_field == 1 + 2 * (kernel - 1) * (2**blocks - 1)
    found = moved(stack, 41, 2, at)
    assert found
    assert min(found) == at
    assert max(found) < at + stack.receptive_field


def test_the_field_is_no_larger_than_what_is_seen() -> None:
    """Without ReLU and with positive weights nothing cancels: the oldest step of the field counts."""
    stack = TemporalStack(1, 1, 4, 3, dropout=0.0).eval()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.fill_(0.5)
        steps = torch.zeros(1, 1, 120, requires_grad=True)
        with torch.enable_grad():
            (stack(steps)[0, 0, -1]).backward()
    assert steps.grad is not None
    seen = torch.nonzero(steps.grad[0, 0]).ravel()
    assert int(seen.min()) == 120 - receptive_field(3, (1, 2, 4, 8)) == 120 - 61


def test_a_layer_is_a_convolution_padded_on_the_left() -> None:
    torch.manual_seed(0)
    layer, steps = CausalConvolution(3, 5, 3, 2), torch.randn(2, 3, 11)
    kernel = layer.convolution
    wanted = functional.conv1d(functional.pad(steps, (4, 0)), kernel.weight, kernel.bias, dilation=2)
    torch.testing.assert_close(layer(steps), wanted)


def test_direction_and_size_of_weights_are_learnt_apart() -> None:
    layer = CausalConvolution(3, 5, 3, 2)
    names = {name for name, _ in layer.named_parameters()}
    size, direction = "convolution.parametrizations.weight.original0", "convolution.parametrizations.weight.original1"
    assert names == {"convolution.bias", size, direction}
    parameters = dict(layer.named_parameters())
    assert parameters[size].shape == (5, 1, 1)
    with torch.no_grad():
        parameters[direction].mul_(3.0)
    norms = layer.convolution.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, parameters[size].flatten())


@pytest.mark.parametrize(("channels", "out"), [(4, 4), (3, 4)])
def test_the_shortcut_is_wide_enough(channels: int, out: int) -> None:
    stack = TemporalStack(channels, out, 2, 2, dropout=0.1)
    assert stack(torch.zeros(2, channels, 6)).shape == (2, out, 6)
