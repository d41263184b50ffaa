"""An estimate carries its uncertainty; every status has a sentence."""

from __future__ import annotations

import numpy as np

from parscope.core import Estimate, Status


def test_standard_errors_are_roots_of_the_diagonal_and_failures_stay_nan() -> None:
    covariance = np.array([[[4.0, 1.0], [1.0, 9.0]], np.full((2, 2), np.nan)])
    estimate = Estimate(
        theta=np.array([[1.0, 2.0], [np.nan, np.nan]]),
        covariance=covariance,
        misfit=np.array([1.0, np.nan]),
        status=np.array([Status.OK, Status.WEAK], dtype=np.uint8),
    )
    np.testing.assert_array_equal(estimate.std, [[2.0, 3.0], [np.nan, np.nan]])
    assert estimate.extra == {}


def test_every_status_has_its_own_sentence() -> None:
    sentences = [status.sentence for status in Status]
    assert all(sentences)
    assert len(set(sentences)) == len(Status)


def test_statuses_are_numbered_without_gaps_and_fit_a_byte() -> None:
    assert [int(status) for status in Status] == list(range(len(Status)))
    assert Status(np.uint8(0)) is Status.OK
