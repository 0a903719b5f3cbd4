"""Time of k-means on 37.7 M weights, and its inertia beside scikit-learn's Lloyd from the same start, tol=0, as many steps.

    python benchmarks/kmeans.py --peer PYTHON

``PYTHON`` is the interpreter of an environment with scikit-learn. Both sides' centroids are scored alike, in float64, on
1 M values (scikit-learn takes minutes for all); the time is that of all weights on one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tersor.packer.quantize.kmeans import kmeans

WEIGHTS, COMPARED, CLUSTERS = 9216 * 4096, 1_000_000, 32
STEPS = (1, 5, 20, 100)

PEER = """
import sys
import numpy as np
from sklearn.cluster import KMeans
values, start = np.load(sys.argv[1]).astype(np.float64)[:, None], np.load(sys.argv[2])[:, None]
found = KMeans(len(start), init=start, n_init=1, max_iter=int(sys.argv[4]), tol=0, algorithm="lloyd").fit(values)
np.save(sys.argv[3], found.cluster_centers_[:, 0])
"""


def inertia(values: np.ndarray, centroids: np.ndarray) -> float:
    """Sum of squared distances (float64) of ``values`` to the nearest of the ``centroids``."""
    centroids = np.sort(centroids)
    nearest = np.searchsorted((centroids[1:] + centroids[:-1]) / 2, values)
    return float(np.sum(np.square(values - centroids[nearest])))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", required=True, help="interpreter of the environment with scikit-learn")
    peer = parser.parse_args().peer
    weights = np.random.default_rng(0).standard_normal(WEIGHTS, np.float32)
    part = weights[:COMPARED]
    kmeans(part[:1000], CLUSTERS)
    begin = time.perf_counter()
    found = kmeans(weights, CLUSTERS)
    took = time.perf_counter() - begin
    begin = time.perf_counter()
    np.sort(weights)
    print(f"{WEIGHTS:,} weights to {CLUSTERS} centroids: {took:.2f} s, {found.steps} steps; ", end="")
    print(f"numpy.sort alone {time.perf_counter() - begin:.2f} s", flush=True)
    values = part.astype(np.float64)
    with tempfile.TemporaryDirectory() as folder:
        given, start, made = (Path(folder) / name for name in ("values.npy", "start.npy", "made.npy"))
        np.save(given, part)
        np.save(start, np.linspace(values.min(), values.max(), CLUSTERS))
        for steps in STEPS:
            subprocess.run([peer, "-c", PEER, str(given), str(start), str(made), str(steps)], check=True, stderr=sys.stderr)
            theirs = inertia(values, np.load(made))
            ours = inertia(values, kmeans(part, CLUSTERS, iterations=steps).centroids)
            print(f"{steps} steps: inertia {ours:.6f}, scikit-learn {theirs:.6f}, relative difference {ours / theirs - 1:.1e}")


if __name__ == "__main__":
    main()
