# %% [markdown]
# # 6 · Before and after the paper
#
# Every audience asks the same at the end: how was it done before, what came after, and how do I keep my colours? This notebook answers with experiments. Each keeps the method of the series and changes one thing: the features, the statistic, the pictures that go in, or who does the search.
#
# 45 minutes to read, about six to run on two CPU cores
# %% [markdown]
# **Goals.** After this notebook you can
#
# - say what a network adds to a texture model of fixed filters, and by which judge;
# - name four statistics beside the Gram matrix, and what each of them forgets;
# - keep a photograph's colours, change the size of the strokes, mix two artworks, and paint each in its own place;
# - explain what a fast network has learnt, how much faster it is, and what it cannot do;
# - say what of this paper lives on in today's models, and what is protected in a style.
# %%
import json
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import Image as Picture
from torch import fft

from helpers.controls import Style, grey, in_colours_of, with_colours_of
from helpers.figures import show_images
from helpers.images import load_image, load_mask, picture_names, white_noise
from helpers.losses import content_loss, gram_matrix, layer_style_loss
from helpers.measures import colour_difference, structure_size
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.objective import Objective
from helpers.optimisers import minimise
from helpers.synthesis import Run, synthesise

network = VGG19().to(best_device())
names = {"citrus": "Citrus", "starry_night": "Starry Night", "garden_at_bougival": "Garden at Bougival"}
artworks = {title: load_image(name, 128).to(network.device) for name, title in names.items()}
