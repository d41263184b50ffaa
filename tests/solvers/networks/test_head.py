"""What networks for spectra say: a Gaussian, as sure at first as the bounds alone are."""

from __future__ import annotations

import pytest
import torch

from parscope.solvers.networks.spectra.head import gaussian, outputs


def test_nothing_that_comes_out_means_a_flat_distribution_over_the_bounds() -> None:
    told = gaussian(torch.zeros(2, outputs(3)), 3)
    spread = torch.rand(100_000, generator=torch.Generator().manual_seed(0)).std()
    torch.testing.assert_close(told.mean, torch.full((2, 3), 0.5))
    torch.testing.assert_close(told.axes(), spread * torch.eye(3).expand(2, 3, 3), rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_standard_errors_stay_within_bounds(size: float) -> None:
    told = gaussian(torch.full((1, outputs(1)), size), 1)
    assert -12.01 < float(torch.log(told.axes())) < 1.01


def test_draws_have_the_covariance_that_is_said() -> None:
    output = torch.randn(1, outputs(2), generator=torch.Generator().manual_seed(1)).expand(50_000, -1)
    told = gaussian(output, 2)
    drawn = told.sample(torch.Generator().manual_seed(0))
    axes = told.axes()[0]
    torch.testing.assert_close(torch.cov(drawn.T), axes @ axes.T, rtol=0.05, atol=1e-3)
