"""Numbers that tell how training goes."""

from __future__ import annotations

from torch import Tensor

# name -> () tensor without gradient; NaN where the batch had nothing to measure
Measures = dict[str, Tensor]


def mean_of(values: Tensor, where: Tensor) -> Tensor:
    """Mean of the values that are chosen, NaN if there is none; no waiting for a GPU.

    Args:
        values: any shape, float.
        where: the same shape, bool.
    """
    return (values * where).sum() / where.sum()
