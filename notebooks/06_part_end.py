# %% [markdown]
# ## Recap
#
# - **Before**: fixed filters make good fine structure and no forms. What the network adds are the statistics of its deep layers.
# - **Statistics**: the Gram matrix, mean and deviation, histograms, kernels, sliced Wasserstein: each forgets places, and each forgets something else besides. The quadratic kernel *is* the Gram matrix.
# - **Control**: colours by luminance or by a linear map, strokes by the size of the artwork, mixtures by weights, places by masks in the Gram matrix. The loop stays as it is.
# - **Fast**: a painter is trained for one artwork and one α/β, and then paints in one pass.
# - **Now**: perceptual losses and style as statistics of features live on inside larger models. A manner is not protected, a picture is.
#
# ## Questions people ask
#
# **Which statistic should I take?** The Gram matrix, unless you need something that it cannot do. The table of transfers above shows the five statistics nearer to each other than two runs with another noise are.
#
# **Can I keep the colours of my photograph?** Yes, in two ways: `--colours keep` for each pixel's own colour, `--colours match` for the palette. The table under *Colours* has the price.
#
# **Can I put two artworks into one picture?** Yes: mixed, by weights, or each in its own place, by a mask. A mixture cannot say where, because a Gram matrix does not know it.
#
# **Why would anybody still use the slow method?** Because it needs no training: another artwork, another α/β or another layer is another argument, and not another training. The experiments under *What it cannot do* show it.
#
# **Does a picture of 3000 pixels need a large machine?** Not in memory: `--tiles` computes the same loss and gradient tile by tile. It needs time, so begin small and go on from the small picture with `--init`.
#
# **May I publish what I made?** Look at three rights: of the photograph, of the artwork, and of the photograph of the artwork. *Rights and judging* has the sources; none of it is legal advice.
