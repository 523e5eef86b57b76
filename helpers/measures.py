"""Numbers of a picture: how near it is to another one, how fine its structures are, what colours it has.

None of them is a loss of the paper, so they can judge what the losses made. Pictures are (1, 3, H, W), RGB
in [0, 1], as everywhere.
"""

import numpy as np
import torch
from skimage.filters import gaussian, sobel
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from helpers.images import LUMINANCE, to_array


def psnr(x: torch.Tensor, p: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB: 20 is an error of a tenth of the range, 40 a hundredth."""
    return float(peak_signal_noise_ratio(to_array(p), to_array(x), data_range=1))


def ssim(x: torch.Tensor, p: torch.Tensor) -> float:
    """Return the structural similarity, 1 for equal pictures (Wang et al. 2004); sides of 7 px at least."""
    return float(structural_similarity(to_array(p), to_array(x), channel_axis=2, data_range=1))


def luminance(x: torch.Tensor) -> np.ndarray:
    """Return Y of the colour space YIQ, (H, W), in [0, 1]."""
    return to_array(x) @ np.array(LUMINANCE)


def edge_match(x: torch.Tensor, p: torch.Tensor) -> float:
    """Return the correlation of the edges (Sobel, after a blur of 1 px) of two pictures of one size."""
    edges = [sobel(gaussian(luminance(picture), 1)).ravel() for picture in (x, p)]
    return float(np.corrcoef(*edges)[0, 1])


def colour_difference(x: torch.Tensor, a: torch.Tensor) -> float:
    """Return how far the histograms of red, green and blue are apart: 0 is equal, 1 is nothing in common.

    The pictures may differ in size. Half the sum of the differences over 16 levels, mean of the colours.
    """
    shares = [
        np.stack([np.histogram(c, 16, (0, 1))[0] / c.size for c in to_array(picture).transpose(2, 0, 1)])
        for picture in (x, a)
    ]
    return float(abs(shares[0] - shares[1]).sum() / 6)


def grain(x: torch.Tensor) -> float:
    """Return the root mean square, in grey levels of 255, of what a blur of 1 px takes from the luminance."""
    grey = luminance(x)
    return float(255 * (grey - gaussian(grey, 1)).std())


def structure_size(x: torch.Tensor) -> float:
    """Return the autocorrelation length in pixels: the shift at which the luminance correlates with 1/e."""
    grey = luminance(x)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    correlation = np.fft.ifft2(power).real  # at every shift (down, right)
    down, right = (np.fft.fftfreq(side, 1 / side) for side in grey.shape)
    distance = np.hypot(down[:, None], right[None, :]).round().astype(int)
    curve = np.bincount(distance.ravel(), correlation.ravel()) / np.bincount(distance.ravel())
    curve = curve / correlation[0, 0]
    d = int(np.argmax(curve < 1 / np.e))  # the first shift below 1/e; then go back between two pixels
    return float(d - (1 / np.e - curve[d]) / (curve[d - 1] - curve[d])) if d else float(max(grey.shape))


def mean_and_spread(values) -> str:
    """Return "mean ± standard deviation" of several runs, with three digits."""
    values = np.asarray(list(values), dtype=float)
    return f"{values.mean():.3g} ± {values.std(ddof=1):.2g}" if len(values) > 1 else f"{values.mean():.3g}"
