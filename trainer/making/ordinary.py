"""Ordinary rows: what detectors are fitted on, and what each row counts.

Only rows without a verdict are ordinary. A labelled one speaks for itself and for flows like it (placing.py); mixed
into a fit it would move the score of everything, attacks included.

Ordinary rows count by the root of their host's share: a host with a hundred times the rows of another counts ten times
as much, so one chatty host does not stand for the network, nor one with a single flow for as much as all others. On
captures split by capture and by laboratory this raised the area under the ROC curve of most members and lowered the
false-positive rate on captures of other places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainer.corpora.split import relative_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.corpora.split import Role, Split


def ordinary(
    corpus: Corpus, dealt: Split, role: Role, *, within: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows `[m, F]` of a role that carry no verdict, and their weights `[m]`; `within` `[n]` leaves out all others."""
    chosen = ~dealt.exception if within is None else ~dealt.exception & within
    rows = dealt.rows(role, chosen)
    return corpus.features[rows], relative_weights(corpus)[rows] * host_shares(corpus.host[rows])


def host_shares(host: NDArray[np.int64]) -> NDArray[np.float32]:
    """What a row of each host `[n]` counts: one over the root of its host's rows, 1 on average."""
    _, place, counts = np.unique(host, return_inverse=True, return_counts=True)
    shares = 1 / np.sqrt(counts[place])
    even: NDArray[np.float32] = (shares / max(float(shares.mean()) if len(shares) else 1.0, 1e-12)).astype(np.float32)
    return even
