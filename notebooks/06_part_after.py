# ruff: noqa
# From the set-up cell: np, pd, torch; show_images; load_image, picture_names, white_noise; content_loss,
# gram_matrix; STYLE_LAYERS, VGG19, best_device; Objective; synthesise; network = VGG19().to(best_device())
# %% [markdown]
# ## Fast: trained once, painted at once
#
# The loop searches. For each new photograph it begins again, and each search costs a hundred evaluations or more. Two groups found at about the same time that the search can be made once, for many photographs: Johnson, Alahi and Fei-Fei (*Perceptual Losses for Real-Time Style Transfer and Super-Resolution*, ECCV 2016) and Ulyanov, Lebedev, Vedaldi and Lempitsky (*Texture Networks*, ICML 2016).
#
# The losses stay as they are. What is changed is another thing: not the pixels of x, but the weights w of a small network f. It gets a photograph and gives a painting, and its weights are trained so that the total loss is small on average:
#
# $$\min_{\vec{x}}\ \mathcal{L}_{total}(\vec{p}, \vec{a}, \vec{x}) \quad\text{becomes}\quad \min_{w}\ \operatorname*{mean}_{\vec{p}}\ \mathcal{L}_{total}(\vec{p}, \vec{a}, f_w(\vec{p}))$$
#
# p is another photograph in each step, a is the same in all of them. VGG19 stays frozen, as before. It judges the paintings during training, and is not needed for painting.

# %%
import json
import time
from pathlib import Path

from torch.nn.functional import interpolate, relu

from helpers.painter import ALPHA, LAYERS, Painter, load_painter, random_crops

trained = load_painter("studies/painter_starry_night.pt").to(network.device)


def paint(f, p):  # (1, 3, H, W) -> (1, 3, H, W); H and W divisible by 4
    h = f.reduce(p - 0.5)  # three convolutions, two of them with stride 2: (1, 32, H/4, W/4)
    for block in f.blocks:
        h = h + block(h)  # two convolutions, added to what went in
    for convolution in f.enlarge:
        h = interpolate(h, scale_factor=2)  # each value becomes 2 × 2 equal ones
        h = relu(convolution(h))  # in the end (1, 16, H, W)
    return torch.sigmoid(2 * (p - 0.5) + f.paint(h))  # RGB in [0, 1]


p = load_image("red_panda", size=64)[..., :32, :].to(network.device)
with torch.no_grad():
    print("agrees with the helper:", torch.allclose(paint(trained, p), trained(p), atol=1e-5))
print(f"{sum(w.numel() for w in trained.parameters()):,} weights")

# %% [markdown]
# `helpers/painter.py` has the layers. It is a small form of Johnson's network, with about 110,000 weights; VGG19 down to `conv4_2` has more than fifty times as many. Four parts of it have reasons of their own.
#
# - **Instance normalisation** stands behind every convolution but the last: each map of each picture gets mean 0 and deviation 1, then a trained scale and shift. Ulyanov, Vedaldi and Lempitsky (arXiv 1607.08022, 2016) put it in the place of batch normalisation, because the contrast of the photograph should not decide the contrast of the painting. [Notebook 8](08_questions_in_practice.ipynb#158.-Why-instance-instead-of-batch-normalisation?) measures what it removes.
# - **Enlarge, then convolve.** A transposed convolution does both in one step, and leaves a checkerboard where its filters overlap unevenly (Odena, Dumoulin and Olah, *Deconvolution and Checkerboard Artifacts*, Distill 2016).
# - **Reflected borders**: zeros outside the picture would be seen as a dark frame.
# - **The photograph is added**, at half its contrast, before the sigmoid. So an untrained painter already keeps the content, and the training may be short. This is a choice of this series, not Johnson's.
#
# The losses come in the mean form (notebook 4), because this form does not depend on the size of a picture: what is learnt on small crops then holds for a whole photograph. α/β is 2000 in this form, which at 128 px is about what 0.01 is in the printed form. Style is compared at four layers and not at `conv5_1`: in a crop of 96 px it has 6 × 6 positions, too few for products of 512 maps.

# %% check
count = sum(w.numel() for w in trained.parameters())
assert 1.05e5 < count < 1.15e5, "with about 110,000 weights"
order = [n for n, _ in network.named_parameters()]
until = order[: order.index("conv4_2.bias") + 1]
assert sum(w.numel() for n, w in network.named_parameters() if n in until) > 50 * count, (
    "VGG19 down to `conv4_2` has more than fifty times as many"
)
ratio = ALPHA / (2 * 512 * 16 * 12)  # ½ Σ against the mean over N · M values, and 1/(4N²) against 1/N²
assert ALPHA == 2000 and round(ratio, 2) == 0.01, (
    "α/β is 2000 in this form, which at 128 px is about what 0.01 is in the printed form."
)
with torch.no_grad():
    F = network(torch.rand(1, 3, 96, 96, device=network.device), "conv5_1")["conv5_1"]
assert F.shape == (1, 512, 6, 6), (
    "in a crop of 96 px it has 6 × 6 positions, too few for products of 512 maps"
)

# %% [markdown]
# **A few steps of training, live.** The loop is that of any network. Only the loss is unusual: nobody says what the right painting is. Question: after a few dozen steps, what will the painter have learnt first, the colours or the strokes?

# %%
from helpers.losses import equal_weights, style_loss

held_out = "chenonceau"  # the photograph that the painter must not see
seen = [name for name in picture_names() if name not in (held_out, "starry_night")]
a = load_image("starry_night", size=256).to(network.device)
A = {l: (gram_matrix(F), F.shape[2:].numel()) for l, F in network(a, LAYERS).items()}
crops = random_crops([load_image(name) for name in seen], side=64, batch=1)  # any place, any scale
torch.manual_seed(0)
painter, losses = Painter().to(network.device), []
optimiser = torch.optim.Adam(painter.parameters(), lr=3e-3, betas=(0.9, 0.99))
for _ in range(60):
    p = next(crops).to(network.device)  # (1, 3, 64, 64)
    x = painter(p)
    F, P = network(x, [*LAYERS, "conv4_2"]), network(p, "conv4_2")["conv4_2"]
    content = content_loss(F["conv4_2"], P, form="mean")
    loss = (ALPHA * content + style_loss(F, A, equal_weights(LAYERS), form="mean")).mean()
    optimiser.zero_grad()
    (loss / 1e9).backward()  # to the painter's weights
    torch.nn.utils.clip_grad_norm_(painter.parameters(), 1)
    optimiser.step()
    losses.append(loss.item())
print(
    f"mean loss of the first 20 crops {np.mean(losses[:20]):.3g}, of the last 20 {np.mean(losses[-20:]):.3g}"
)

# %% [markdown]
# The mean loss falls by about a third in 60 steps, each with one crop. (The losses of single crops differ much: some pictures are further from the artwork than others.)

# %% check
assert 0.5 < np.mean(losses[-20:]) / np.mean(losses[:20]) < 0.8, (
    "The mean loss falls by about a third in 60 steps, each with one crop."
)

# %% [markdown]
# **The whole training** took between 3 and 10 minutes on two cores, beside other programs. A study made it (`studies/painter.py`) and stored the weights, 0.2 MB in half precision. The painter has seen random crops of six pictures, mirrored and at many scales: two photographs and four artworks. The château is not among them.

# %%
study = json.loads(Path("studies/painter.json").read_text(encoding="utf-8"))
print("trained on crops of", ", ".join(study["settings"]["trained on"]))
p = load_image(held_out, size=384).to(network.device)
with torch.no_grad():
    shown = {"60 steps, made above": painter(p), f"{study['done']} steps, stored": trained(p)}
show_images(
    [p, *shown.values()],
    ["photograph p, never seen", *shown],
    title="One pass through a small network, 384 px",
    note="original VGG19, mean form, α/β = 2000, artwork at 256 px",
)

# %% [markdown]
# **What to see.** The colours come first: after 60 steps there is little but a blue veil. The stored painter has yellow and white strokes in the artwork's directions along walls and edges, and dabs on the water. The castle's shapes are where they were. What is missing are the artwork's large swirls: the painter decides each place from its surroundings, and has no picture before it that could grow.

# %% check
size = Path("studies/painter_starry_night.pt").stat().st_size
assert round(size / 1e6, 1) == 0.2, "stored the weights, 0.2 MB in half precision"
assert 180 < study["seconds"] < 600, "took between 3 and 10 minutes on two cores"
assert len(study["settings"]["trained on"]) == 6, "random crops of six pictures"

# %% [markdown]
# **How fast, and how near?** The painter and the loop are compared with one objective: the same network, layers, form and α, and the same photograph at 128 px. Question: how many evaluations does the loop need until its total loss is as small as the painter's?

# %%
small_p = load_image(held_out, size=128).to(network.device)
options = {"style_layers": LAYERS, "form": "mean", "alpha": ALPHA}
objective = Objective(network, small_p, a, **options)
seconds = {"one painting": [], "one evaluation": []}
for _ in range(3):
    began = time.perf_counter()
    with torch.no_grad():
        small_x = trained(small_p)
    seconds["one painting"].append(time.perf_counter() - began)
seconds["one painting"] = min(seconds["one painting"])
live = synthesise(network, small_p, a, evaluations=10, progress=False, **options)
seconds["one evaluation"] = live.seconds / 10

# %%
loop, names = study["loop"], ("content", "style", "total")  # of the best picture after each evaluation
with torch.no_grad():
    terms = {"photograph": objective(small_p), "painter": objective(small_x)}
rows = {name: {k: term[k].item() for k in names} for name, term in terms.items()}
for n in (10, 30, 100, 200):
    rows[f"loop, {n} evaluations"] = {k: loop[k][n - 1] for k in names}
table = pd.DataFrame(rows).T
display(table.style.format("{:.3g}"))
needed = next((n for n, total in enumerate(loop["total"], 1) if total <= table["total"]["painter"]), None)
print(f"the loop has the painter's total loss after {needed} evaluations")
print({name: f"{value:.3f} s" for name, value in seconds.items()})

# %%
from matplotlib.figure import Figure

from helpers.figures import COLOURS, to_picture

per_evaluation, one, reached = *reversed(seconds.values()), table["total"]["painter"]
figure = Figure(figsize=(6.5, 3.2), layout="constrained")
axis = figure.subplots()
axis.loglog(per_evaluation * np.arange(1, 201), loop["total"], color=COLOURS[0])
axis.text(7 * per_evaluation, loop["total"][4], "the loop", color=COLOURS[0])
axis.loglog(one, reached, "o", color=COLOURS[1])
axis.text(one, 1.15 * reached, "the painter", color=COLOURS[1])
axis.axhline(reached, color=COLOURS[1], linewidth=0.6, linestyle=":")
axis.set(xlabel="seconds", ylabel="total loss")
axis.set_title("The painter is done before the loop's first evaluation", loc="left", fontsize=11)
axis.spines[["top", "right"]].set_visible(False)
spoken = f"Total loss against seconds. The loop falls from {loop['total'][0]:.2g} to {loop['total'][-1]:.2g} "
spoken += f"in 200 evaluations; the painter is one point at {reached:.2g}, left of the first of them."
to_picture(figure, alt=spoken)

# %% [markdown]
# **What to see.** One painting takes less than a quarter of the time of one evaluation. The loop has the painter's total loss after about ten evaluations; so for the same loss the loop takes more than fifty times as long. But the loop goes on: after 100 evaluations its total loss is less than half of the painter's. The painter's style loss is less than a third of the photograph's. Johnson and others report "three orders of magnitude" between their network and the loop, on another machine, against a full run.
#
# **When does the training pay?** In the time of this training the loop makes some tens of pictures of 128 px with 100 evaluations each. For larger pictures the painter pays earlier, because a loop's time grows with the number of pixels, and a training's does not: at 512 px an evaluation has 16 times as many.

# %% check
ratio = seconds["one painting"] / seconds["one evaluation"]
assert ratio < 0.25, "One painting takes less than a quarter of the time of one evaluation."
assert 8 <= needed <= 13, "The loop has the painter's total loss after about ten evaluations"
assert needed / ratio > 50, "for the same loss the loop takes more than fifty times as long"
assert table["total"]["loop, 100 evaluations"] < 0.5 * table["total"]["painter"], (
    "after 100 evaluations its total loss is less than half of the painter's"
)
assert table["style"]["painter"] < table["style"]["photograph"] / 3, (
    "The painter's style loss is less than a third of the photograph's."
)
assert 15 < study["seconds"] / (100 * seconds["one evaluation"]) < 150, (
    "the loop makes some tens of pictures of 128 px with 100 evaluations each"
)

# %% [markdown]
# **What it cannot do.** Everything that the loop takes as a setting is in the painter's weights. Four experiments, one for each limit. Question: which of them will be the worst?

# %%
from PIL import Image, ImageDraw

from helpers.images import from_pil
from helpers.measures import luminance


def judged(x, p, **changed):
    with torch.no_grad():
        return {k: v.item() for k, v in Objective(network, p, **({"a": a} | options | changed))(x).items()}


def by_loop(p, **changed):  # 30 evaluations
    run = synthesise(network, p, a, evaluations=30, progress=False, **(options | changed))
    return run.history["total"][run.best]


def mean_period(image):  # of the brightness, in pixels, over periods from 2 to 16 px
    y = luminance(image)
    f = np.hypot(np.fft.fftfreq(y.shape[0])[:, None], np.fft.fftfreq(y.shape[1])[None, :])
    band, power = (f > 1 / 16) & (f <= 1 / 2), abs(np.fft.fft2(y - y.mean())) ** 2
    return (power[band] / f[band]).sum() / power[band].sum()


# %%
page = Image.new("RGB", (128, 96), "white")
for i, line in enumerate(
    ("A painter is trained", "for one artwork.", "It never saw a page", "with letters.")
):
    ImageDraw.Draw(page).text((4, 6 + 22 * i), line, fill="black")
tests = {
    "château": load_image(held_out, size=128).to(network.device),
    "white noise": white_noise(96, 128, deviation=0.2).clamp(0, 1).to(network.device),
    "a page of text": from_pil(page).to(network.device),
}

# %%
with torch.no_grad():
    paintings = {name: trained(p) for name, p in tests.items()}
    twice = trained(interpolate(tests["château"], scale_factor=4, mode="bicubic").clamp(0, 1))
    once = trained(interpolate(tests["château"], scale_factor=2, mode="bicubic").clamp(0, 1))
p, x = tests["château"], paintings["château"]
other = load_image("night_cafe", size=256).to(network.device)
of_other = judged(x, p, a=other)["style"] / judged(p, p, a=other)["style"]
of_own = judged(x, p)["style"] / judged(p, p)["style"]
print(f"style loss, as a part of the photograph's: Starry Night {of_own:.2f}, Night Café {of_other:.2f}")
heavier = judged(x, p, alpha=20 * ALPHA)["total"] / by_loop(p, alpha=20 * ALPHA)
print(
    f"total loss, as a multiple of the loop's after 30 evaluations: α/β twenty times as large: {heavier:.2f}"
)
periods = mean_period(once), mean_period(twice)
print(f"the photograph twice as large: mean period {periods[0]:.2f} px and {periods[1]:.2f} px")
far = {name: judged(paintings[name], q)["total"] / by_loop(q) for name, q in tests.items()}
print("α/β as trained:", ", ".join(f"{name} {value:.2f}" for name, value in far.items()))
captions = [name for name in tests for _ in (0, 1)]
show_images(
    [image for name in tests for image in (tests[name], paintings[name])],
    [f"{name}" if i % 2 == 0 else "painted" for i, name in enumerate(captions)],
    columns=6,
    title="Two pictures far from the training",
)

# %% [markdown]
# **What to see.**
#
# - **Another artwork: none.** The painting is not nearer to *The Night Café* than the photograph is: its style loss for that artwork is not smaller. Each artwork needs a training. (One network for many artworks needs another idea: a scale and shift of the normalisation for each artwork in Dumoulin, Shlens and Kudlur, *A Learned Representation for Artistic Style*, ICLR 2017.)
# - **Another α/β: none.** At α/β twenty times as large the painter's total loss is about four times the loop's; at its own α/β about two times.
# - **Another size of strokes: none.** On a photograph twice as large the strokes keep their size in pixels: the mean period changes by less than 5 %. So on a larger picture they are finer, as in the figure of 384 px above.
# - **Pictures unlike those of the training.** The loss does not tell much: white noise and a page of text, painted, have between 2 and 3.2 times the loop's total loss, and the château has, too. To the eye they are failures. The noise stays noise, the letters stay letters, and the empty part of the page gets hardly a stroke, because there was nothing like it in the training.
#
# (One painter, one photograph, 128 px, the loop with 30 evaluations.)

# %% check
assert of_other > 0.95, "its style loss for that artwork is not smaller"
assert round(heavier) == 4, "the painter's total loss is about four times the loop's"
assert round(far["château"]) == 2, "at its own α/β about two times"
assert abs(periods[1] / periods[0] - 1) < 0.05, "the mean period changes by less than 5 %"
assert min(far.values()) > 2 and max(far.values()) < 3.2, (
    "painted, have between 2 and 3.2 times the loop's total loss, and the château has, too"
)

# %% [markdown]
# ## Other networks
#
# Must it be VGG19? Three questions are in this one: must the weights be trained, must the network be deep, and must it be *this* network? [Notebook 3](03_style_reconstruction.ipynb#Questions-people-ask) and [notebook 4](04_style_transfer.ipynb#Questions-people-ask) answer the first for VGG19's own architecture: with random weights come coloured clouds, and no strokes. Here are the other two.
#
# **One layer of random filters.** Ustyuzhaninov, Brendel, Gatys and Bethge (*What does it take to generate natural textures?*, ICLR 2017) report textures of high quality from one layer, without pooling and training, if its filters have several sizes. Below: a detail of the sky, and textures by the Gram matrix of 192 random filters with a ReLU, once of six sizes from 3 to 23 px, once all of 3 px. Each filter has mean 0 and length 1. Question: what of the sky needs the large filters?

# %%
from helpers.optimisers import LBFGSState, Steps, coarse_first, lbfgs

sky = load_image("starry_night", size=448)[..., 60:172, 150:278].to(network.device)


def random_filters(sizes, count, seed=0):  # list of (count, 3, k, k)
    generator = torch.Generator().manual_seed(seed)
    bank = [torch.randn(count, 3, k, k, generator=generator) for k in sizes]
    bank = [w - w.mean((1, 2, 3), keepdim=True) for w in bank]
    return [(w / w.flatten(1).norm(dim=1)[:, None, None, None]).to(network.device) for w in bank]


def random_gram(x, bank):  # (1, 3, H, W) -> (1, N, N), of all filters together
    borders = [[w.shape[-1] // 2] * 4 for w in bank]
    maps = [
        torch.conv2d(torch.nn.functional.pad(x, b, mode="reflect"), w).relu() for b, w in zip(borders, bank)
    ]
    F = torch.cat(maps, 1)  # (1, N, H, W)
    return gram_matrix(F) / F[0, 0].numel()


# %%
def texture(bank, evaluations=60):
    A = random_gram(sky, bank)
    x = white_noise(*sky.shape[2:]).to(network.device)
    pictures = lbfgs(LBFGSState(x, Steps(x, 50)), coarse_first(x.shape, x.device, 64))
    x, best = next(pictures), (np.inf, x)
    for _ in range(evaluations):
        x = x.detach().requires_grad_()
        loss = 1e6 * ((random_gram(x, bank) - A) ** 2).sum() / (A**2).sum()
        best = min(best, (loss.item(), x.detach()), key=lambda found: found[0])
        x = pictures.send((loss.item(), torch.autograd.grad(loss, x)[0]))
    return best[1]


# %%
textures = {
    "six sizes": texture(random_filters((3, 5, 7, 11, 15, 23), 32)),
    "3 px only": texture(random_filters((3,), 192)),
}
by_vgg = Objective(network, a=sky, style_layers=STYLE_LAYERS[:4])
left, noise = {}, white_noise(*sky.shape[2:]).to(network.device)
with torch.no_grad():
    at_noise = by_vgg(noise)
    for name, image in textures.items():
        terms = by_vgg(image)
        left[name] = {l: (terms[l] / at_noise[l]).item() for l in STYLE_LAYERS[:4]}
display(pd.DataFrame(left).style.format("{:.3f}").set_caption("style loss left, judged by VGG19"))
show_images(
    [sky, *textures.values()],
    ["a detail of the sky", *(f"one random layer,\n{name}" for name in textures)],
    title="Textures from one layer of random filters",
)

# %% [markdown]
# **What to see.** Six sizes give the sky's colours and a grain of small slanted dabs; filters of 3 px alone give flat areas and specks. Judged by VGG19, six sizes leave 1 % of white noise's style loss at `conv1_1` and `conv2_1`, less than a quarter at `conv3_1`, and about half at `conv4_1`. At `conv3_1` the small filters leave three times as much or more. So one untrained layer holds what is as large as its filters, and the swirls are larger. (One detail, one draw of filters. The authors used more filters and larger pictures; their results look better than these.)

# %% check
six, three = (pd.Series(left[name]) for name in textures)
assert (six[["conv1_1", "conv2_1"]].round(2) == 0.01).all(), (
    "six sizes leave 1 % of white noise's style loss at `conv1_1` and `conv2_1`"
)
assert six["conv3_1"] < 0.25, "less than a quarter at `conv3_1`"
assert 0.4 < six["conv4_1"] < 0.6, "about half at `conv4_1`"
assert three["conv3_1"] > 3 * six["conv3_1"], (
    "At `conv3_1` the small filters leave three times as much or more."
)

# %% [markdown]
# **Another trained network.** No weights of a ResNet came with this series, and torchvision's VGG19 is a download of 548 MB; neither was tried here. One other network was: EfficientNet-Lite0, trained on ImageNet, 4.7 million weights, with residual connections (its weights are in a small package of their own). It knows its objects: it calls the panda a red panda with a probability of 0.999. A study ran the same program with it (`studies/other_networks.py`): same photograph, same noise, 60 evaluations, losses as a part of the features' own squares, α such that the gradient ratio in the noise is 1. Question: a network that knows pandas, does it also know style?

# %%
other_study = json.loads(Path("studies/other_networks.json").read_text(encoding="utf-8"))
columns = ["content left", "style left", "edges", "colours"]
others = pd.DataFrame(other_study["networks"]).T[columns].astype(float)
display(others.style.format("{:.2f}"))
from IPython.display import Image as Shown

alt = "The château by three sets of features: " + "; ".join(others.index)
Shown("studies/other_networks.jpg", width=860, metadata={"alt": alt})

# %% [markdown]
# **What to see.** It depends on the layers. With features from five depths, as one takes them from VGG19, about a fifth of the style loss is left, and the colours are three times as far from the painting's as with VGG19. With the first five blocks, the picture has the painting's blues, dabs, and a castle: a transfer. In both, single pixels are loud, which VGG19's picture does not show. So a network that knows objects well is not at once a good judge of style, and who changes the network must choose layers and α anew. (One pair, one noise, 128 px. *Edges* is the correlation of edges with the photograph, *colours* the distance of colour histograms from the painting, 0 to 1.)
#
# **What is said of residual networks.** Wang, Li and Vasconcelos (*Rethinking and Improving the Robustness of Image Style Transfer*, CVPR 2021) find that residual connections, as in ResNets, give features of small entropy, and that a softmax of the features helps. In this network nothing like that is found: the entropy of its features of the painting is above 0.95 at all five depths, and at most 0.94 for VGG19 (1 would mean that all values are equally large). Its blocks end without a ReLU, those of a ResNet with one, so this says nothing against their finding.

# %% check
five, first = (others.loc[f"EfficientNet-Lite0, {blocks}"] for blocks in ("five depths", "first five blocks"))
vgg = others.loc["VGG19"]
assert 0.17 < five["style left"] < 0.23, "about a fifth of the style loss is left"
assert round(five["colours"] / vgg["colours"]) == 3, (
    "the colours are three times as far from the painting's as with VGG19"
)
assert first["style left"] < 2 * vgg["style left"] and first["edges"] > vgg["edges"], (
    "and a castle: a transfer."
)
entropies = {name: row["entropy"] for name, row in other_study["networks"].items()}
assert min(entropies["EfficientNet-Lite0, five depths"]) > 0.95, "is above 0.95 at all five depths"
assert max(entropies["VGG19"]) <= 0.94, "and at most 0.94 for VGG19"
assert other_study["probability"] == 0.999, "it calls the panda a red panda with a probability of 0.999"
assert other_study["settings"]["evaluations"] == 60, (
    "60 evaluations, losses as a part of the features' own squares"
)
