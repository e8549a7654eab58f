"""The patch-based iterative network: the paper's method, and what goes beyond it.

The method imports only `pin_lightning.common`. Read it in this order, in about an hour:

1. `update_rules`: rules A, B and C, from the network's outputs to a step (Section 2, Table 1).
2. `targets`: the targets of the two heads (Eq. 1).
3. `losses`: their loss, weighted by alpha (Eq. 2).
4. `shape_models.base`, `shape_models.identity`, `shape_models.pca`: the shape space (Eq. 3, 4).
5. `patches`: 2.5D patches around landmarks (Fig. 2a and 2b).
6. `networks`: the two-head CNN (Fig. 2c).
7. `localizer`: starts, iteration, average (Section 2).
8. `sampling`: points at which the network is trained.

Beyond the paper: `pyramid` (patches at several spacings), `ensemble`, the shape models `points` and
`autoencoder` (with `residual` and `recombination`), and `completion` of missing landmarks.
"""
