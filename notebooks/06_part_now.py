# %% [markdown]
# ## Diffusion, and what is left of this paper
#
# No experiment here: a diffusion model does not fit this series. It is trained on very many pictures and needs a GPU to be of use. This page says what was read, and where.
#
# **What replaced it.** Who wants a picture "in the style of" today mostly asks a *latent diffusion model* (Rombach, Blattmann, Lorenz, Esser, Ommer, "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022): a network that turns noise into a picture in some tens of steps, each one a forward pass, guided by a text or a picture. The style comes from what the network has seen in training, from a few pictures that it is trained on afterwards, or from features of one picture that are put into its attention layers (Chung, Hyun, Heo, "Style Injection in Diffusion", CVPR 2024).
#
# **What of this paper lives on in it.**
#
# | idea | here | there |
# | --- | --- | --- |
# | compare features, not pixels | content loss (equation 1) | the *perceptual loss*. The public training code of latent diffusion trains the autoencoder, which makes pixels of the latent features, with LPIPS and a discriminator (`LPIPSWithDiscriminator`). LPIPS compares features of a trained network such as VGG, with learned weights (Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018) |
# | style as statistics of features | Gram matrix (equation 3) | mean and deviation of feature maps as a layer: AdaIN (Huang and Belongie, ICCV 2017; measured above, under *Other statistics*). StyleGAN sets the style of each layer so (Karras, Laine, Aila, CVPR 2019) |
# | the same, inside attention | | Style Aligned (Hertz, Voynov, Fruchter, Cohen-Or, arXiv 2312.02133, 2023): its public code applies AdaIN to queries and keys, so that pictures of one series share a style |
# | the picture itself is optimised | back-propagation to the pixels | to the latent features, where a diffusion model is guided by a loss |
#
# **What nobody does better.** Three things that this method has and the large models have not:
#
# - *It needs two pictures and no training.* No data set, no text, no permission to use somebody's model.
# - *It is an equation.* What is compared stands in seven equations. One can change one of them and see what changes; the sections above did so.
# - *It is exact about its reference.* The Gram matrices are those of this painting, at this size, and the style loss says how near the result is.
#
# **What it cannot do**, and they can: change what is shown. It has no idea of things, only of features. It cannot let a castle stand in winter, because snow on roofs is neither in p nor a matter of style.
#
# ## Rights and judging
#
# ### What is protected in a style
#
# No legal advice; the law differs from country to country, and a case is decided by its details.
#
# 1. Copyright protects a work and not an idea or a method; the United States write so in 17 U.S.C. § 102(b), and Article 9(2) of the TRIPS agreement says the same for its members.
# 2. A manner of painting counts as such an idea: the US Copyright Office found in its report on digital replicas of 31 July 2024 that artistic style as such is not protected there.
# 3. The artwork itself is protected, in the European Union and in Korea until 70 years after the death of its author; van Gogh (1890) and Morisot (1895) are free, Picasso (1973) is not, and a result that shows recognisable parts of a protected painting may be a copy of them.
# 4. The photograph p has an author too, and so may have the photograph *of* the painting; this series uses pictures whose licence is written down (`images/SOURCES.md`).
# 5. Other rights do not ask for copyright: to sell a picture under the name of a living painter can deceive the buyer, whoever made it.
#
# ### How papers judge a stylised picture
#
# | way | what it says | its limits |
# | --- | --- | --- |
# | the losses themselves | whether the optimiser did its work | every method tends to win by its own loss: the tables under *Other statistics* show by how much |
# | user studies: which of two pictures do you prefer? | what people like | depends on who is asked and how; two studies do not compare |
# | ArtFID (Wright and Ommer, GCPR 2022) | one number from two: how much of the content is left (LPIPS) and how near the results are to artworks as a set (FID) | needs many results to be stable, so it ranks methods and not single pictures; LPIPS and FID come from trained networks themselves, so whatever these do not see is not judged |
# | time and memory | what it costs | says nothing of the picture |
#
# There is no number for beauty. Notebook 8 has the measurements behind this sentence (questions on judging), and notebook 4 why two total losses with different α/β cannot be compared.
