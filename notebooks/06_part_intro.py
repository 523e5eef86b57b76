# %%
import pandas as pd
import torch

from helpers.controls import Style, grey, in_colours_of, with_colours_of
from helpers.figures import loss_curves, show_images
from helpers.images import load_image, load_mask, white_noise
from helpers.measures import colour_difference, grain, structure_size
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.objective import Objective
from helpers.synthesis import Run, synthesise

network = VGG19().to(best_device())
