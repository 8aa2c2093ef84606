"""The architectures are the paper's, count by count, and attention needs no more memory than it must."""

from __future__ import annotations

import pytest
import torch

from vidclf_train.networks import NETWORK_KINDS, Dropout, FeatureAttention, build_network


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def hidden(inputs: int, outputs: int) -> int:
    return linear(inputs, outputs) + 2 * outputs  # BatchNorm: a scale and a shift.


COUNTS = {
    "linear": linear(4096, 10),
    "mlp-3": hidden(4096, 1024) + hidden(1024, 512) + linear(512, 10),
    "mlp-4": hidden(4096, 2048) + hidden(2048, 1024) + hidden(1024, 256) + linear(256, 10),
    "mlp-5": hidden(4096, 4096) + hidden(4096, 2048) + hidden(2048, 1024) + hidden(1024, 512)
    + linear(512, 10),
    "attention": hidden(4096, 2048) + hidden(2048, 1024) + hidden(1024, 256) + linear(256, 10)
    + 4 * linear(1024, 1024) + 2 * 1024,
}  # fmt: skip


@pytest.mark.parametrize("kind", COUNTS)
def test_parameters_are_counted_as_the_paper_describes_the_layers(kind: str) -> None:
    with torch.device("meta"):
        network = build_network(kind, 4096, 10)  # type: ignore[arg-type]
    assert sum(each.numel() for each in network.parameters()) == COUNTS[kind]


def test_a_wide_network_has_the_widths_that_it_is_given() -> None:
    network = build_network("wide", 20, 3, hidden=(64, 16), dropout=(0.4, 0.1))
    assert sum(each.numel() for each in network.parameters()) == hidden(20, 64) + hidden(64, 16) + linear(
        16, 3
    )
    assert [each.share for each in network.modules() if isinstance(each, Dropout)] == [0.4, 0.1]


def test_a_hidden_layer_is_linear_norm_silu_dropout() -> None:
    network = build_network("mlp-4", 12, 3)
    kinds = [type(each).__name__ for each in network.children()]
    assert kinds == ["Linear", "BatchNorm1d", "SiLU", "Dropout"] * 3 + ["Linear"]
    assert [each.share for each in network.modules() if isinstance(each, Dropout)] == [0.5, 0.3, 0.2]


def test_attention_stands_between_the_second_and_the_third_layer() -> None:
    kinds = [type(each).__name__ for each in build_network("attention", 12, 3).children()]
    assert kinds.index("FeatureAttention") == 8
    assert kinds.count("Linear") == 4


@pytest.mark.parametrize("kind", [*NETWORK_KINDS, "linear"])
def test_every_network_turns_rows_into_logits_and_learns(kind: str) -> None:
    torch.manual_seed(0)
    network = build_network(kind, 6, 3, hidden=(8,) if kind == "wide" else ())  # type: ignore[arg-type]
    logits = network(torch.randn(4, 6))
    assert logits.shape == (4, 3)
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert all(each.grad is not None and each.grad.isfinite().all() for each in network.parameters())


def test_attention_is_the_softmax_of_the_outer_product() -> None:
    torch.manual_seed(0)
    attention = FeatureAttention(70).eval()  # No multiple of the queries that are taken at a time.
    rows = torch.randn(5, 70)
    query, key, value = attention.query(rows), attention.key(rows), attention.value(rows)
    weights = torch.softmax(torch.einsum("bi,bj->bij", query, key), dim=-1)
    context = torch.einsum("bij,bj->bi", weights, value)
    assert torch.allclose(attention(rows), context + attention.projection(context), atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "wide"},
        {"kind": "mlp-4", "hidden": (3,)},
        {"kind": "mlp-4", "dropout": (0.5,)},
    ],
)
def test_widths_and_shares_that_do_not_fit_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="hidden"):
        build_network(input_dimension=4, label_count=2, **arguments)  # type: ignore[arg-type]


def test_dropout_drops_its_share_scales_the_rest_and_draws_from_its_own_generator() -> None:
    dropout = Dropout(0.25)
    ones = torch.ones(200, 500)
    dropout.generator = torch.Generator().manual_seed(5)
    first = dropout(ones)
    assert first.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    torch.manual_seed(1)  # What others draw does not matter.
    dropout.generator = torch.Generator().manual_seed(5)
    assert torch.equal(dropout(ones), first)
    assert not torch.equal(dropout(ones), first)
    assert dropout.eval()(ones) is ones
