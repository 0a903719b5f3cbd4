"""Train one of the paper's two networks, dense.

    python examples/lenet/train_dense.py DATA_DIR lenet-300-100 --output examples/lenet/models/dense/lenet-300-100.tersor

``DATA_DIR`` holds MNIST's IDX files, gzipped, or another set in their format. The first 50,000 training images, each with
distorted variants, train; the other 10,000 give the held-out error that is printed. The test images are not read here. The
file holds weights rounded to what fp16 holds; ``compress.py --dense`` and ``--teacher`` read it. Runs on one CPU core.
"""

from __future__ import annotations

import time

from checkpoints import load_state, save_state, stored_network
from networks import NETWORKS, cosine, error, fit, read_data
from runs import options, reproducible, write_summary


def main() -> None:
    """Train, and write the file and what it took."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=1e-3, help="Adam's learning rate; falls to 0 along a half cosine")
    parser.add_argument("--teacher", default="none", help="demo, none, or .tersor file of a dense LeNet-5")
    args = parser.parse_args()
    generator, started = reproducible(args.seed), time.perf_counter()
    teacher = None if args.teacher == "none" else stored_network("lenet-5", args.teacher)
    data = read_data(args.data, teacher, variants=args.variants, flip=args.flip, cache=args.cache)
    network = NETWORKS[args.network]()
    fit(network, data, [{"params": network.parameters()}], args.steps, cosine(args.rate, args.steps), generator)
    report = save_state(network, args.output)
    load_state(network, args.output)
    write_summary(args, report, None, error(network, data.held_out), started)


if __name__ == "__main__":
    main()
