"""Fourier transforms without complex numbers: those of torch, and gone when the block ends."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="converting weights needs the extra 'foreign'")

from acutance.exporting.real_spectra import real_spectra  # noqa: E402


@pytest.mark.parametrize("size", [(8, 8), (6, 9), (5, 4), (1, 2)])
def test_products_of_spectra_are_those_of_torch(size: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(0)
    first, second = (torch.rand((2, 3, *size), generator=random) for _ in range(2))
    weight = torch.rand((3, size[0], size[1] // 2 + 1), generator=random)

    def made() -> torch.Tensor:
        product = torch.fft.rfft2(first) * torch.fft.rfft2(second) + torch.fft.rfft2(first) * weight
        return torch.fft.irfft2(product, s=size)

    expected = made()
    with real_spectra():
        given = made()
    torch.testing.assert_close(given, expected, atol=1e-4, rtol=1e-5)


def test_torch_is_left_as_it_was() -> None:
    with pytest.raises(ValueError, match="a reason"), real_spectra():
        raise ValueError("a reason")
    assert torch.fft.rfft2(torch.ones(2, 2)).is_complex()
