# %% [markdown]
# ## Control: colours, strokes, mixtures, places
#
# The method has one dial, α/β. People ask for four more: keep the colours of the photograph, change the size of the strokes, mix two artworks, and paint one part only. Gatys and others answered them with the same loss and the same loop (Gatys, Bethge, Hertzmann, Shechtman, "Preserving Color in Neural Artistic Style Transfer", 2016; Gatys, Ecker, Bethge, Hertzmann, Shechtman, "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017). Each control changes the pictures before the run, or the sum in the Gram matrix. None changes the network or the loop.
#
# ### Colours
#
# A Gram matrix of `conv1_1` holds colours, so the artwork's colours come with its style (notebook 4). There are two ways to keep those of the photograph:
#
# - **keep**: make p and a grey, run, and give the result the colours of p: its luminance Y from the run, I and Q of the colour space YIQ from p. If no colour so bright exists, it is made paler; Y stays.
# - **match**: before the run, move every colour of the artwork by one linear map, so that mean and covariance of its colours are those of p. Then run as always.
#
# **A question before the numbers.** Which of the two is nearer to the colours of p? And which loses more of the artwork's style?
# %%
p, a = (load_image(name, size=128).to(network.device) for name in ("chenonceau", "starry_night"))
options = {"alpha": 5e-3, "evaluations": 60, "progress": False}
plain = synthesise(network, p, a, **options).image
kept = with_colours_of(synthesise(network, grey(p), grey(a, like=p), **options).image, p)
recoloured = in_colours_of(a, p)
matched = synthesise(network, p, recoloured, **options).image

versions = {"plain": plain, "keep": kept, "match": matched}
style_to_a = Objective(network, a=a)
grey_style_to_a = Objective(network, a=grey(a, like=p))
noise = white_noise(96, 128).to(network.device)


def style_left(judge, x):  # a part of that of white noise
    with torch.no_grad():
        return (judge(x)["style"] / judge(noise)["style"]).item()


def colour_error(x, p):  # of each pixel: root mean square of I and Q's part, in grey levels of 255
    return 255 * ((x - grey(x)) - (p - grey(p))).square().mean().sqrt().item()


rows = {}
for name, x in versions.items():
    rows[name] = {
        "colours of p: which, and how often": colour_difference(x, p),
        "colours of p: pixel by pixel": colour_error(x, p),
        "style loss left": style_left(style_to_a, x),
        "style loss left, in grey": style_left(grey_style_to_a, grey(x)),
    }
colour_table = pd.DataFrame(rows).T
show_images(
    [p, a, recoloured, *versions.values()],
    ["photograph p", "artwork a", "a in the colours of p", "plain", "keep: luminance only", "match: a recoloured first"],
    columns=3,
    alt=(
        "Six pictures: the photograph of the château; The Starry Night; The Starry Night in "
        "pale blue, white and green; the château in the painting's blue and yellow; the "
        "château with strokes in its own colours; the château with strokes in the recoloured "
        "painting's colours"
    ),
)
# %%
colour_table.round(3)
# %% [markdown]
# **What to see.** Both ways bring the colours back. The first column compares histograms (0 is equal, 1 is nothing in common): there the two are nearly equal. The second compares pixel by pixel, in grey levels: there *keep* is nearest, because each pixel has its own colour. *Match* has the right palette in other places, because mean and covariance say how often a colour occurs and not where.
#
# The price stands in the third column. Judged in colour both lose style, because the artwork's colours are a part of its style. Judged in grey, both are nearer to the artwork than the plain run.
# %% check
which, each = colour_table.iloc[:, 0], colour_table.iloc[:, 1]
assert max(which["keep"], which["match"]) < which["plain"], "Both ways bring the colours back."
assert abs(which["keep"] - which["match"]) < 0.08, "there the two are nearly equal"
assert each["keep"] < 0.5 * each["match"] < 0.5 * each["plain"], "there *keep* is nearest"
in_colour, in_grey = colour_table["style loss left"], colour_table["style loss left, in grey"]
assert in_colour["plain"] < min(in_colour["keep"], in_colour["match"]), "Judged in colour both lose style"
assert max(in_grey["keep"], in_grey["match"]) < in_grey["plain"], "both are nearer to the artwork than the plain run"
# %% [markdown]
# ### Strokes of another size
#
# The Gram matrices are computed from the artwork at the size it is given. An artwork at half the size has strokes of half the size, and the same receptive fields of VGG19 see two strokes where they saw one. In the command line this is `--style-scale`.
#
# **A question before the numbers.** Does the structure size of the result halve when the artwork is halved? Structure size is the shift, in pixels, at which the luminance correlates with itself by 1/e. Below, a transfer and, without a photograph, a texture of each.
# %%
scales, transfers, textures = (0.5, 1.0, 2.0), {}, {}
for scale in scales:
    work = load_image("starry_night", size=round(128 * scale)).to(network.device)
    transfers[scale] = synthesise(network, p, work, **options).image
    textures[scale] = synthesise(network, a=work, size=(96, 128), evaluations=60, progress=False).image
strokes = [*transfers.values(), *textures.values()]
show_images(
    strokes,
    [f"artwork × {s:g}: {structure_size(x):.1f} px" for s, x in zip(scales * 2, strokes, strict=True)],
    columns=3,
    alt=(
        "Two rows of three pictures, the château in the style of The Starry Night and "
        "textures of the painting: with the artwork at half size short, dense marks and small "
        "lights; at its size longer ones; at double size broad, soft waves"
    ),
)
# %% [markdown]
# **What to see.** In both rows the structures grow with the artwork: short marks and many lights at half the size, broad waves at twice the size. Not in proportion: from half the size to twice the size they grow by less than half of the factor of four, because what is larger than the deepest layer sees has no say, and in the transfers because the content loss holds the large structures where they are in p.
# %% check
for made in (textures, transfers):
    lengths = [structure_size(x) for x in made.values()]
    assert lengths == sorted(lengths), "In both rows the structures grow with the artwork"
    assert lengths[2] / lengths[0] < 2, "they grow by less than half of the factor of four"
# %% [markdown]
# ### Two artworks at once
#
# With several artworks the style loss is the mean of the losses to each, with weights $v_k$ that add up to 1:
#
# $$\mathcal{L}_{style}(x) = \sum_k v_k \sum_l w_l E_l(x, a_k)$$
#
# Because the loss is a square, the best Gram matrix for both is their weighted mean, and no picture can make both losses 0.
# %%
b = load_image("citrus", size=128).to(network.device)
shares, mixed = (1.0, 0.75, 0.5, 0.25, 0.0), {}
for share in shares:
    styles = [Style(work, v) for work, v in ((a, share), (b, 1 - share)) if v > 0]
    mixed[share] = synthesise(network, a=styles, size=(96, 96), evaluations=40, progress=False).image
judges = {"The Starry Night": Objective(network, a=a), "Citrus": Objective(network, a=b)}
with torch.no_grad():
    start = {name: judge(white_noise(96, 96).to(network.device))["style"].item() for name, judge in judges.items()}
    to_each = pd.DataFrame(
        {f"{v:g} : {1 - v:g}": {n: judge(x)["style"].item() / start[n] for n, judge in judges.items()} for v, x in mixed.items()}
    ).T
show_images(
    list(mixed.values()),
    [f"{v:g} : {1 - v:g}" for v in mixed],
    alt=(
        "Five square textures by their weights, from The Starry Night alone to Citrus alone: "
        "blue and yellow strokes; the same with an orange slice; slices with blue strokes "
        "between them; orange and green slices; slices of citrus"
    ),
)
# %%
to_each.map("{:.2%}".format)
# %% [markdown]
# **What to see.** From top to bottom the style loss to *The Starry Night* grows and that to *Citrus* falls, step by step. In the middle neither is as small as it can be alone. Equal weights are not equal parts: at 0.5 : 0.5 most of the loss to *Citrus* is gone and most of that to *The Starry Night* is left. The reason is that the losses are not in a common unit, and those to *Citrus* are larger: its Gram matrices have larger entries. The pictures have slices and strokes side by side at any place, because a Gram matrix does not know where (notebook 3). So it cannot ask for one artwork on the left and the other on the right.
# %% check
starry, citrus = to_each["The Starry Night"], to_each["Citrus"]
assert starry.is_monotonic_increasing, "the style loss to *The Starry Night* grows"
assert citrus.is_monotonic_decreasing, "and that to *Citrus* falls, step by step"
half = to_each.loc["0.5 : 0.5"]
assert half["Citrus"] > citrus.min() and half["The Starry Night"] > starry.min(), "In the middle neither is as small"
assert half["Citrus"] < 0.5 < half["The Starry Night"], "most of that to *The Starry Night* is left"
assert start["Citrus"] > start["The Starry Night"], "those to *Citrus* are larger"
# %% [markdown]
# ### Two artworks in two places
#
# To say *where*, the Gram matrix needs a mask. Each position k of a layer counts $T_k$, 1 inside and 0 outside, and the *guided* Gram matrix sums products of features behind the mask:
#
# $$G_{ij} = \sum_k (T_k F_{ik})(T_k F_{jk}), \qquad M \to \sum_k T_k^2$$
#
# With a mask of ones this is equation 3. The mask is as large as the picture, and shrinks with the layers by average pooling, as the picture does. In code:
# %%
sky = load_mask("../images/masks/picos_de_europa_sky.png")  # (1, 1, H, W): white is in
q, night, cafe = (
    load_image(name, size=160).to(network.device) for name in ("picos_de_europa", "starry_night", "night_cafe")
)
places = [Style(night, where=sky), Style(cafe, where=1 - sky)]
guided = synthesise(network, q, places, **options).image
together = synthesise(network, q, [Style(night), Style(cafe)], **options).image

with torch.no_grad():
    rows = {}
    for name, x in {"guided by the mask": guided, "both everywhere": together}.items():
        rows[name] = {
            f"{artist}, {place}": Objective(network, a=Style(work, where=mask))(x)["style"].item()
            for artist, work in (("Starry Night", night), ("Night Café", cafe))
            for place, mask in (("sky", sky), ("land", 1 - sky))
        }
in_places = pd.DataFrame(rows).T
shown_mask = torch.nn.functional.interpolate(sky, size=q.shape[2:], mode="area").expand(-1, 3, -1, -1)
show_images(
    [q, shown_mask, together, guided],
    ["photograph p", "mask: white is the sky", "both artworks everywhere", "Starry Night above, Night Café below"],
    columns=2,
    alt=(
        "Four pictures: mountains under a blue sky; the mask, white where the sky is; the "
        "scene with both styles everywhere; the scene with blue swirls in the sky and the "
        "reds and yellows of The Night Café on the land"
    ),
)
# %%
in_places.map("{:.3g}".format)
# %% [markdown]
# **What to see.** Each number is a style loss to one artwork inside one place. With the mask, the loss to *The Starry Night* in the sky and that to *The Night Café* on the land are each less than a quarter of what they are without. Elsewhere the same losses are more than ten times as large: there nobody asked for them. Near the border the styles overlap by as much as the deepest layer sees, because features just outside the mask see what is inside.
# %% check
row, free = in_places.loc["guided by the mask"], in_places.loc["both everywhere"]
for own, elsewhere in (("Starry Night, sky", "Starry Night, land"), ("Night Café, land", "Night Café, sky")):
    assert row[own] < free[own] / 4, "each less than a quarter of what they are without"
    assert row[elsewhere] > 10 * row[own], "Elsewhere the same losses are more than ten times as large"
# %% [markdown]
# **Live.** The same run, to watch and to steer. Press *start*. Question: how small must α/β become until the border of the mask can be seen as an edge in the picture?
# %%
from helpers.widgets import LiveRun

LiveRun(network, q, places, name="notebook 6", alpha=5e-3, evaluations=100)
# %% [markdown]
# ### The rest of the dials
#
# | control | what it does | in Python | in the command line |
# | --- | --- | --- | --- |
# | grain | adds τ times the sum of squared differences of neighbours | `tau=3e4` | `--tv 3e4` |
# | start | goes on from a picture, for example a smaller result, enlarged | `init=picture` | `--init FILE` |
# | part of the artwork | reads the style behind a mask | `Style(a, of=mask)` | `--style-mask FILE` |
# | large pictures | computes the losses tile by tile | `tile=512` | `--tiles 512` |
# | transparency | the result is as transparent as the photograph | `save_image(…, alpha=…)` | by itself |
#
# Do tiles leave seams? They would if each tile had its own style. Here they are only a way to compute: a Gram matrix is a sum over positions, so it can be added up tile by tile, and each tile is computed with a margin as wide as `conv5_1` looks. So the loss and its gradient are those of the whole picture:
# %%
x = white_noise(*q.shape[2:]).to(network.device).requires_grad_()
gradients = []
for tile in (None, 64):
    run = Run(network, q, night, alpha=5e-3, precision="float32", tile=tile, evaluations=1)
    terms = run.objective(x)
    gradients.append(torch.autograd.grad(terms["total"], x)[0])
    print(f"tile {tile}: total loss {terms['total'].item():.6g}")
difference = ((gradients[0] - gradients[1]).norm() / gradients[0].norm()).item()
print(f"relative difference of the gradients: {difference:.1e}")
# %% check
assert difference < 1e-3, "the loss and its gradient are those of the whole picture"
