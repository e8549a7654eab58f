"""The patch-based iterative network: the paper's method, and what goes beyond it.

The method imports only `pin_lightning.common`. Read it in this order, in about an hour:

1. `update_rules`: rules A, B and C, which turn a network's output into a step (Section 2, Table 1).
2. `targets`: what the two heads learn (Eq. 1).
3. `losses`: the loss that weighs them by alpha (Eq. 2).
4. `shape_models.base`, `shape_models.identity`, `shape_models.pca`: the shape space.
5. `patches`: 2.5D patches around landmarks.
6. `networks`: the two-head CNN.
7. `localizer`: starts, iteration, average.
8. `sampling`: where training samples lie.

Beyond the paper: `pyramid` (patches at several spacings), `ensemble`, the shape models `points` and
`autoencoder` (with `residual` and `recombination`), and `completion` of missing landmarks.
"""
