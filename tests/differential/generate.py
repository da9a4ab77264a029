#!/usr/bin/env python3
"""Draws random int8 models from a seed, runs them with LiteRT's reference kernels, and writes a corpus of what came out.

See README.md. The same seed and versions give the same bytes.
"""

import argparse
import collections
import gzip
import importlib.metadata
import json

import numpy as np

import families
import moves
import sharp
from families import with_edges
from layers import Graph
from ai_edge_litert.interpreter import OpResolverType

from litert import UNREFERENCED, Model, Refused, inside, run, samples

FAMILIES = families.FAMILIES + sharp.FAMILIES + moves.FAMILIES
SATURATING = ("SOFTMAX", "LOGISTIC", "TANH")


def draw(rng, name, family, tally):
    """Draws until LiteRT takes the model and its outputs are not all at a bound."""
    while True:
        g = Graph(rng)
        x, y, ends = with_edges(g, family)
        operators = "+".join(entry["operator"] for entry in g.options)
        inputs = g.samples or samples(rng, x.shape, x.zero, g.whole(2, 4))
        data = g.finish([ends[0]], [ends[1]])
        try:
            outputs = run(data, inputs, [(x.scale, x.zero), (y.scale, y.zero)], resolver(g))
        except Refused as error:
            tally["refused", operators, str(error).splitlines()[0][:100]] += 1
            continue
        share = inside(outputs, g.options, y.scale, y.zero)
        if share < 0.15 and not g.wild and g.options[-1]["operator"] not in SATURATING:
            tally["at a bound", operators, ""] += 1
            continue
        tally["inside", operators] += share
        tally["models", operators] += 1
        return Model(name, data, inputs, outputs, g.options, "schema")


def resolver(g):
    """The reference kernels, unless a model has an operator without one."""
    without = any(entry["operator"] in UNREFERENCED for entry in g.options)
    return OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if without else OpResolverType.BUILTIN_REF


def generate(seed, count, tally):
    """So many models, shared among the families as their table says."""
    total = sum(share for _, share, _ in FAMILIES)
    for at, (name, share, family) in enumerate(FAMILIES):
        for number in range(max(1, round(share * count / total))):
            yield draw(np.random.default_rng([seed, at, number]), name, family, tally)


def entry(model):
    return {
        "name": model.name, "made_by": model.made_by, "bytes": len(model.data), "samples": len(model.inputs),
        "input": list(model.inputs[0].shape), "output": list(model.outputs[0].shape), "operators": model.options,
    }


def write(path, models, about):
    """A gzip stream: a line of JSON that lists the models, then each model's file, inputs and outputs.

    It has no date, so that the same models give the same bytes.
    """
    index = json.dumps({**about, "models": [entry(model) for model in models]}, separators=(",", ":"))
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as archive:
        archive.write(index.encode() + b"\n")
        for model in models:
            archive.write(model.data)
            for tensor in model.inputs + model.outputs:
                archive.write(tensor.tobytes())


def report(tally):
    for key, value in sorted(tally.items(), key=str):
        if key[0] in ("refused", "at a bound"):
            print(f"{key[0]:10} {value:4} {key[1]} {key[2]}")
    for key, value in sorted(tally.items(), key=str):
        if key[0] == "models":
            print(f"{value:4} {key[1]}: {tally['inside', key[1]] / value:.0%} of the outputs inside their bounds")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1398, help="models drawn operator by operator")
    parser.add_argument("--keras", type=int, default=72, help="models made by Keras and TFLiteConverter")
    parser.add_argument("--out", default="corpus.gz")
    arguments = parser.parse_args()
    tally = collections.Counter()
    models = list(generate(arguments.seed, arguments.count, tally))
    versions = {"ai-edge-litert": importlib.metadata.version("ai-edge-litert")}
    if arguments.keras:
        import keras_models
        models += keras_models.generate(arguments.seed, arguments.keras, tally)
        versions["tensorflow"] = importlib.metadata.version("tensorflow-cpu")
    write(arguments.out, models, {"seed": arguments.seed, "versions": versions})
    report(tally)
    print(f"{len(models)} models in {arguments.out}")


if __name__ == "__main__":
    main()
