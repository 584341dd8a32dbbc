"""Each loss equals its slow, explicit version, and does what it is there for."""

import math

import pytest
import torch
from torch.testing import assert_close

from photosieve.training.losses import anchor_term, balanced_sigmoid, diagonal_softmax


def example(seed: int, n: int = 8, labels: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets; the last label is on no photo, the first on all."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    targets = (torch.rand(n, labels, generator=generator) < 0.4).double()
    targets[:, 0], targets[:, -1] = 1, 0
    targets[0, 1:-1] = 1
    return logits, targets


def gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of the balanced sigmoid loss of one batch that is the whole training set."""
    logits = logits.clone().requires_grad_()
    loss = balanced_sigmoid(logits, targets, targets.sum(0), len(targets))
    return torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("seed", range(5))
def test_balanced_sigmoid_pair_by_pair(seed: int) -> None:
    logits, targets = example(seed)
    positives = targets.sum(0)
    total, taught = 0.0, [j for j in range(4) if positives[j] > 0]
    for j in taught:
        for i in range(8):
            right = 1 / (1 + math.exp(-float(logits[i, j])))
            if targets[i, j]:
                total -= math.log(right) * 8 / (2 * float(positives[j]))
            else:
                total -= math.log(1 - right) * 8 / (2 * (8 - float(positives[j])))
    expected = torch.tensor(total / (8 * len(taught)), dtype=torch.float64)
    assert_close(balanced_sigmoid(logits, targets, positives, 8), expected)


def test_batches_of_one_size_average_to_the_whole() -> None:
    logits, targets = example(0)
    positives = targets.sum(0)
    parts = [
        balanced_sigmoid(logits[rows], targets[rows], positives, 8)
        for rows in ([0, 5], [1, 7], [2, 3], [4, 6])
    ]
    assert_close(torch.stack(parts).mean(), balanced_sigmoid(logits, targets, positives, 8))


def test_positives_and_negatives_pull_equally_however_many_they_are() -> None:
    for negatives in (1, 5, 100):
        targets = torch.zeros(2 + negatives, 1)
        targets[:2] = 1
        pull = gradient(torch.zeros_like(targets), targets)
        assert_close(pull[:2].sum(), torch.tensor(-0.25))
        assert_close(pull[2:].sum(), torch.tensor(0.25))


def test_a_label_on_no_photo_teaches_nothing() -> None:
    logits, targets = example(1)
    pull = gradient(logits, targets)
    assert (pull[:, -1] == 0).all()
    assert (pull[:, :-1] != 0).all()
    # Nor does it dilute the others.
    assert_close(pull[:, :-1], gradient(logits[:, :-1], targets[:, :-1]))


def test_no_label_at_all_is_a_loss_of_zero() -> None:
    assert balanced_sigmoid(torch.ones(3, 2), torch.zeros(3, 2), torch.zeros(2), 3) == 0


def test_a_repeated_label_is_a_mistake_only_for_the_softmax() -> None:
    """Two photos of a sofa: the sigmoid wants both scores up, the softmax is never content."""
    both = torch.ones(2, 1)
    assert (gradient(torch.tensor([[0.3], [0.9]]), both) < 0).all()
    assert balanced_sigmoid(torch.tensor([[30.0], [30.0]]), both, both.sum(0), 2) < 1e-9
    for score in (0.0, 30.0):
        sofas = torch.full((2, 2), score)  # each photo against the text of both pairs
        assert_close(diagonal_softmax(sofas), torch.tensor(math.log(2)))


@pytest.mark.parametrize("seed", range(5))
def test_diagonal_softmax_pair_by_pair(seed: int) -> None:
    logits = example(seed, n=5, labels=5)[0]
    exp = logits.exp().tolist()
    total = 0.0
    for i in range(5):
        total -= math.log(exp[i][i] / sum(exp[i]))
        total -= math.log(exp[i][i] / sum(row[i] for row in exp))
    assert_close(diagonal_softmax(logits), torch.tensor(total / 10, dtype=torch.float64))


def test_diagonal_softmax_of_one_pair_is_zero() -> None:
    assert diagonal_softmax(torch.tensor([[-7.0]])) == 0


def test_anchor_term_word_by_word() -> None:
    scores, pretrained = example(0)[0], example(1)[0]
    differences = [
        (float(scores[i, j]) - float(pretrained[i, j])) ** 2 for i in range(8) for j in range(4)
    ]
    expected = torch.tensor(sum(differences) / 32, dtype=torch.float64)
    assert_close(anchor_term(scores, pretrained), expected)
    assert anchor_term(scores, scores) == 0


def test_gradients() -> None:
    logits, targets = example(2)
    logits.requires_grad_()
    check = torch.autograd.gradcheck
    assert check(lambda x: balanced_sigmoid(x, targets, targets.sum(0), 8), (logits,))
    assert check(lambda x: diagonal_softmax(x[:4]), (logits,))
    assert check(lambda x: anchor_term(x, targets), (logits,))
