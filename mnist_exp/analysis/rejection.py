"""Answers that are refused for lack of confidence: how many, and how many of the others are wrong."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)


def risk_coverage(confidence: NDArray[Any], right: NDArray[np.bool_], *, unread: int = 0) -> list[dict[str, Any]]:
    """The risk-coverage curve (El-Yaniv and Wiener 2010, https://www.jmlr.org/papers/v11/el-yaniv10a.html).

    For each `min_confidence`, a dict with the share of all pictures that is `answered`, because the confidence is at
    least that, and the share of these whose answer is wrong: `error`, None where nothing is answered.

    confidence: the highest probability for each image, (N,). right: whether the answer is right, (N,).
    unread: pictures that could not be read, and so are never answered.
    """
    curve = []
    for least in MIN_CONFIDENCES:
        answered = right[confidence >= least]
        curve.append({
            "min_confidence": least,
            "answered": len(answered) / (len(right) + unread),
            "error": 1 - float(answered.mean()) if len(answered) else None,
        })  # fmt: skip
    return curve
