"""Learning from a teacher's answers (Hinton, Vinyals, Dean, *Distilling the knowledge in a neural network*, 2015)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def distillation(logits: Tensor, labels: Tensor, teacher: Tensor, *, temperature: float = 2.0, share: float = 0.7) -> Tensor:
    """A scalar loss: ``share`` of it agreement with the teacher's softened answers, the rest cross entropy with the labels.

    ``logits`` and ``teacher`` are (N, classes), ``labels`` int64 (N,). Both answers are divided by ``temperature`` before they
    become probabilities; their divergence is multiplied by its square, so that gradients keep their size.
    """
    hard = functional.cross_entropy(logits, labels)
    student, target = functional.log_softmax(logits / temperature, 1), functional.softmax(teacher / temperature, 1)
    soft = functional.kl_div(student, target, reduction="batchmean") * temperature**2
    return share * soft + (1 - share) * hard
