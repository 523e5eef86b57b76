# %%
import json

import pandas as pd
import torch
from IPython.display import Image as Picture
from torch import fft

from helpers.figures import show_images
from helpers.images import load_image, white_noise
from helpers.losses import gram_matrix, layer_style_loss
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.optimisers import minimise

network = VGG19().to(best_device())
names = {"citrus": "Citrus", "starry_night": "Starry Night", "garden_at_bougival": "Garden at Bougival"}
artworks = {title: load_image(name, 128).to(network.device) for name, title in names.items()}

# %% [markdown]
# ## Before: texture by statistics
#
# Long before the paper, textures were made from statistics: measure something of a picture that does not depend on places, then change noise until it measures the same. Portilla and Simoncelli (*A parametric texture model based on joint statistics of complex wavelet coefficients*, International Journal of Computer Vision, 2000) took the responses of fixed filters of several sizes and directions, and how they correlate. In 2015, a few months before the paper of this series, the same three authors put a network in the place of the filters (*Texture Synthesis Using Convolutional Neural Networks*, NeurIPS 2015). Its Gram matrices are the style loss of notebook 3.
#
# So between both stands one change: *which features*. What does a network add? To see it, keep the rest: equations 3 to 5, white noise, L-BFGS. Only the features are fixed filters here. This is a model in the spirit of 2000 and not theirs: they worked on grey pictures, with a longer list of statistics and another loop.
#
# A fixed filter passes one band of frequencies in one direction. Bands are an octave apart, around 1/4, 1/8, … of the sampling frequency. A filter for one half of the frequency plane only has a complex response: its real part is strong on lines, its imaginary part on edges, and its magnitude on both.

# %%
def filter_bank(height, width, scales=5, directions=4):
    """Transfer functions of the filters, (scales · directions, H, W)."""
    fy, fx = fft.fftfreq(height)[:, None], fft.fftfreq(width)[None, :]
    octave, angle = -torch.hypot(fx, fy).clamp(min=1e-6).log2(), torch.atan2(fy, fx)
    bands = [torch.exp(-2 * (octave - s) ** 2) for s in range(2, 2 + scales)]
    towards = [torch.cos(angle - torch.pi * d / directions).relu() ** 3 for d in range(directions)]
    return torch.stack([2 * band * part for band in bands for part in towards])


def filter_features(x):
    """Colours, then real part, imaginary part and magnitude of every filter on every colour."""
    bank = filter_bank(*x.shape[2:]).to(x.device)
    r = fft.ifft2(fft.fft2(x)[:, :, None] * bank).flatten(1, 2)  # (1, 3 · 20, H, W), complex
    return [torch.cat([x, r.real, r.imag, r.abs()], 1)]


bank = filter_bank(96, 96)
shown = [fft.fftshift(fft.ifft2(bank[i]).real)[32:64, 32:64].numpy() for i in (4, 5, 6, 7, 8, 9)]
captions = [f"scale {i // 4 + 1}, direction {i % 4 + 1}" for i in (4, 5, 6, 7, 8, 9)]
alt = "Six of the filters: stripes in a round window, in four directions and, twice as wide, in two of them"
show_images(shown, captions, alt=alt, width=8)

# %% [markdown]
# Equation 3 makes one Gram matrix of all these maps: it holds how strong each filter responds, and which filters respond together, across scales, directions and colours. The loss below is equation 4, as a part of what it is for white noise. With several layers it is equation 5, with weights that let each layer count the same for white noise.

# %%
def gram(F, A, seed=0):
    """Equation 4, up to a constant that cancels."""
    return layer_style_loss(gram_matrix(F), gram_matrix(A), F[0, 0].numel(), A[0, 0].numel()).sum()


def network_features(x):
    return [*network(x, STYLE_LAYERS).values()]


def parts_left(distance, features, a, seed=0):
    """A function of x: in each layer the distance to a, as a part of what white noise has."""
    noise = white_noise(*a.shape[2:]).to(a.device)
    A = [F.flatten(2) for F in features(a)]  # (1, N_l, M_l) each
    start = [distance(F.flatten(2), T, seed) for F, T in zip(features(noise), A, strict=True)]

    def parts(x):
        pairs = zip(features(x), A, start, strict=True)
        return torch.stack([distance(F.flatten(2), T, seed) / s for F, T, s in pairs])

    return parts


def texture(distance, features, a, evaluations=60):
    parts = parts_left(distance, features, a)
    return minimise(lambda x: parts(x).mean(), white_noise(*a.shape[2:]).to(a.device), evaluations)


maps = {"fixed filters": filter_features, "network": network_features}
for kind, features in maps.items():
    print(kind, [F.shape[1] for F in features(artworks["Citrus"])], "maps")

# %% [markdown]
# Three artworks: slices of fruit, the painting of most of this series, and a garden of small dabs. Before you run the cell: for which of them will the fixed filters do nearly as well as the network? And does a texture from the network satisfy the fixed filters?

# %%
textures, rows, layers = {}, {}, {}
for title, a in artworks.items():
    judges = {kind: parts_left(gram, features, a) for kind, features in maps.items()}
    for kind, features in maps.items():
        x = textures[title, kind] = texture(gram, features, a)
        with torch.no_grad():
            parts = {f"loss of the {judge}": f(x) for judge, f in judges.items()}
        rows[title, kind] = {judge: part.mean().item() for judge, part in parts.items()}
        layers[title, kind] = dict(zip(STYLE_LAYERS, parts["loss of the network"].tolist(), strict=True))
pictures = [x for title, a in artworks.items() for x in (a, *(textures[title, kind] for kind in maps))]
captions = ["the artwork", "texture from fixed filters", "texture from the network"] + [""] * 6
alt = (
    "Three artworks and their textures. Citrus: patches of orange and green without a form from the filters, "
    "slices with rind from the network. Starry Night: blue and yellow strokes and blurred lights, then stars "
    "with rings. Garden: dabs in its colours from both"
)
show_images(pictures, captions, alt=alt, columns=3, width=8)

# %%
both = pd.DataFrame(rows).T
display(both.style.format("{:.2%}").set_caption("loss left; the texture was made from …"))
deep = pd.DataFrame(layers).T
deep.style.format("{:.1%}").set_caption("loss of the network, layer by layer")

# %% [markdown]
# **What to see.** TEXT1

# %% check
assert True

# %% [markdown]
# ## Other statistics of the same features
#
# Now the other way round: the features stay, the distance changes. After 2015 several were proposed. Each compares the features at all positions of x with those of the artwork, as two clouds of points: one point a position, with $N_l$ coordinates.
#
# | distance | compares | from |
# |---|---|---|
# | Gram matrix | sums of products of maps | the paper |
# | mean and deviation | two numbers of each map | Li and others, IJCAI 2017, as statistics of batch normalisation; AdaIN (Huang and Belongie, ICCV 2017) transfers them in one step |
# | histograms | all values of each map, sorted | Risser and others, arXiv 1701.08893 (2017), beside the Gram matrix |
# | maximum mean discrepancy | means of a kernel over all pairs of positions | Li and others, IJCAI 2017 |
# | sliced Wasserstein | all values along random directions, sorted | Heitz and others, CVPR 2021 |

# %%
def normal(rows, columns, seed):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).to(network.device)


def mean_and_deviation(F, A, seed=0):
    return (F.mean(2) - A.mean(2)).square().sum() + (F.std(2) - A.std(2)).square().sum()


def histogram(F, A, seed=0):
    """Sorted values: the squared Wasserstein distance of each map, in one dimension."""
    return (F.sort(2).values - A.sort(2).values).square().mean()


def sliced(F, A, seed=0):
    """The same after a random rotation: along N_l directions across the maps."""
    N = F.shape[1]
    rotation = torch.linalg.qr(normal(N, N, seed))[0]
    return histogram(rotation @ F, rotation @ A)

# %% [markdown]
# **A kernel in place of the Gram matrix.** A kernel k(f, g) says how alike two columns of features are. The squared maximum mean discrepancy is how alike the columns of x are to each other, plus the same for the artwork, minus twice how alike they are across:
#
# $$\mathrm{MMD}^2 = \tfrac{1}{M^2}\sum_{k,l} k(f_k, f_l) + \tfrac{1}{M_a^2}\sum_{k,l} k(a_k, a_l) - \tfrac{2}{M M_a}\sum_{k,l} k(f_k, a_l)$$
#
# With the quadratic kernel $k(f, g) = (f^T g)^2$ this is equation 4 without its constant, as Li and others showed: $(f^T g)^2 = \sum_{ij} f_i f_j\, g_i g_j$, so the mean over all pairs is $\sum_{ij} (F F^T/M)_{ij} (A A^T/M_a)_{ij}$, and three such means make $\sum_{ij} (G/M - A/M_a)_{ij}^2$. The same by number:

# %%
def mmd(F, A, kernel):
    return kernel(F, F).mean() + kernel(A, A).mean() - 2 * kernel(F, A).mean()


a = artworks["Starry Night"]
F, A = (network(x, "conv4_1")["conv4_1"].flatten(2)[0].double() for x in (white_noise(96, 128).to(a), a))
of_kernel = mmd(F, A, lambda F, A: (F.mT @ A) ** 2)  # all pairs of positions, (M, M_a)
of_grams = (F @ F.mT / F.shape[1] - A @ A.mT / A.shape[1]).square().sum()
print(f"MMD² {of_kernel:.8g}, Σ(G/M − A/M_a)² {of_grams:.8g}, at {F.shape[1]} and {A.shape[1]} positions")

# %% [markdown]
# The Gaussian kernel $k(f, g) = \exp(-\lVert f - g \rVert^2 / 2w^2)$ has no such short table, and all pairs of 13,056 positions are too many. But it too is a mean of products: of $\sqrt2 \cos(w_n^T f + b_n)$ over random directions $w_n$ and phases $b_n$ (Rahimi and Recht, NeurIPS 2007). So each cosine's mean over the positions is one number to compare, as each entry of G/M is one. With four cosines a map, and the width w as the root of the mean squared distance of two columns of the artwork:

# %%
def width(A):
    return (2 * A.var(2).sum()).sqrt()


def gaussian(F, A, seed=0):
    N = F.shape[1]
    W, b = normal(4 * N, N, seed) / width(A), 100 * normal(4 * N, 1, seed + 1)  # as an angle b is uniform
    return 2 * ((W @ F + b).cos().mean(2) - (W @ A + b).cos().mean(2)).square().mean()


F, A = (network(x, "conv3_1")["conv3_1"].flatten(2) for x in (white_noise(96, 128).to(a), a))
w = width(A)
exact = mmd(F[0], A[0], lambda F, A: (-(torch.cdist(F.mT, A.mT) ** 2) / (2 * w**2)).exp()).item()
cosines = gaussian(F, A).item()
print(f"all pairs of positions {exact:.4f}; {4 * F.shape[1]} cosines {cosines:.4f}")

# %% check
assert True

# %% [markdown]
# ### What each one forgets
#
# No run is needed to see it. Take the features of *The Starry Night* at `conv2_1`, and change them so that one thing is lost:
#
# - **one shuffle for all maps**: places are lost, nothing else;
# - **a shuffle for each map**: each map keeps its values, but which maps are large *together* is lost;
# - **Gaussian numbers** with the means and the covariances of the features: how the values are *distributed* is lost. Half the features of a ReLU are 0 or near it, and Gaussian numbers are not.
#
# Which of the five distances see it? Each is a part of the distance of white noise.

# %%
def gaussian_like(A):
    """Gaussian columns with exactly the mean and the covariance of A, (1, N, M)."""
    def root(C, power):
        values, vectors = torch.linalg.eigh(C)
        return vectors * values.clamp(min=1e-9 * values.max()) ** power @ vectors.mT

    mean, Z = A.mean(1, keepdim=True), normal(*A.shape, 0).double()
    Z = Z - Z.mean(1, keepdim=True)
    C, C_z = ((D @ D.mT / D.shape[1]) for D in (A - mean, Z))
    return root(C, 0.5) @ root(C_z, -0.5) @ Z + mean


STATISTICS = {
    "Gram matrix": gram,
    "mean and deviation": mean_and_deviation,
    "histograms": histogram,
    "Gaussian kernel": gaussian,
    "sliced Wasserstein": sliced,
}
A, noise = (network(x, "conv2_1")["conv2_1"].flatten(2) for x in (a, white_noise(*a.shape[2:]).to(a)))
order = [torch.randperm(A.shape[2]) for _ in range(A.shape[1])]
changed = {
    "one shuffle for all maps": A[..., order[0]],
    "a shuffle for each map": torch.stack([A[:, i, order[i]] for i in range(A.shape[1])], 1),
    "Gaussian numbers": gaussian_like(A[0].double()).float()[None],
}
seen = {k: {n: (d(F, A) / d(noise, A)).item() for n, d in STATISTICS.items()} for k, F in changed.items()}
seen = pd.DataFrame(seen).T
seen.abs().style.format("{:.1%}").background_gradient("Blues", axis=None, vmax=0.15)

# %% [markdown]
# **What to see.** TEXT2

# %% check
assert True

# %% [markdown]
# ### Textures from each
#
# Same noise, same layers, same loop. Each texture is judged by all five; the random directions of the last two are drawn anew for judging. Which texture will you be able to tell from the others?

# %%
made, left = {"Gram matrix": textures["Starry Night", "network"]}, {}
for name in [*STATISTICS][1:]:
    made[name] = texture(STATISTICS[name], network_features, a)
judges = {name: parts_left(d, network_features, a, seed=100) for name, d in STATISTICS.items()}
with torch.no_grad():
    for name, x in made.items():
        left[name] = {judge: parts(x).mean().item() for judge, parts in judges.items()}
alt = (
    "The Starry Night and five textures from it. All five have its blues and yellows, lights with rings, and "
    "strokes; the lights lie at other places in each"
)
show_images([a, *made.values()], ["the artwork", *made], alt=alt, columns=3, width=8)

# %%
left = pd.DataFrame(left).T
left.style.format("{:.2%}").background_gradient("Blues", gmap=left / left.max(), axis=None)

# %% [markdown]
# **What to see.** TEXT3

# %% check
assert True

# %% [markdown]
# ### Transfers from each
#
# The content loss of `conv4_2` comes back. A fixed α/β would compare nothing here, because the five distances have five scales. So each run keeps *the same content*: it may leave 20 % of white noise's content loss, and pays for more. With D the part left of the style distance and C that of the content loss, it minimises D + 20 · max(0, C − 0.2)². (A study made these with 128 px and 60 evaluations: [`studies/style_statistics.py`](studies/style_statistics.py).)

# %%
study = json.loads(open("studies/style_statistics.json", encoding="utf-8").read())
alt = "TRANSFERALT"
Picture("studies/style_statistics.jpg", metadata={"alt": alt})

# %%
transfers = pd.concat({pair: pd.DataFrame(rows).T for pair, rows in study["transfers"].items()})
transfers["time"] = transfers["seconds"] / transfers["seconds"].groupby(level=0).transform("first")
judged = [*STATISTICS, "content"]
shares = dict.fromkeys(judged, "{:.1%}") | {"time": "{:.2f}"}
transfers[[*judged, "time"]].style.format(shares).set_caption("loss left, and time as a multiple of Gram's")

# %% [markdown]
# **What to see.** TEXT4

# %% check
assert True
