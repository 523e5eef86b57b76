P = network(p, ["conv4_2"])["conv4_2"]
A = {l: gram(F) for l, F in network(a, five).items()}
x = white_noise(height, width).requires_grad_()
optimiser = torch.optim.Adam([x], lr=0.02)

for evaluation in range(evaluations):
    F = network(x, [*five, "conv4_2"])
    content = ((F["conv4_2"] - P) ** 2).sum() / 2  # 1
    style = sum(E(gram(F[l]), A[l]) for l in five) / 5  # 4, 5
    loss = alpha * content + beta * style  # 7

    optimiser.zero_grad()
    loss.backward()  # the way back, to the pixels
    optimiser.step()  # only x changes
