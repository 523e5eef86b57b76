"""Helpers of the notebook series on neural style transfer.

Data flows one way through these modules: ``images`` (file → tensor), ``network`` (tensor →
features, by ``convolution``), ``losses`` (features → numbers), ``synthesis`` (numbers → picture, by
``optimisers``), ``record``, ``figures`` and ``widgets`` (what a notebook shows), ``panels`` and
``paper_figures`` (the figures of the paper, with pictures from ``paper_images`` if one asks for them).
"""
