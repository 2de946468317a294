"""Measures what float32 alone does to the net of each reference file, and writes it into the file as its `tolerance`.

    pip install torch numpy
    python scripts/golden_tolerance.py test/fixtures/goldens/*.json

Runs the file's net, images and updates in PyTorch, in float64 and in float32: once as they are, and with every weight and
pixel multiplied by 1 + e, |e| <= 1e-6, for some random e. Such a change is as large as the rounding of a layer in float32.
It shows the decisions (of a ReLU, or of a maximum) that are so close that rounding may change them. The largest difference
from float64, by kind and at the file's own norms and elements, times MARGIN, is the tolerance. docs/numerics.md explains
its use. The float64 values must be those of the file: otherwise the script fails.
"""

import json
import math
import sys
from pathlib import Path

import numpy
import torch
from torch.nn.functional import avg_pool2d, conv2d, cross_entropy, local_response_norm, max_pool2d, pad, relu

PERTURBATION = 1e-6
VARIANTS = 4
# Other kernels than PyTorch's sum in another order, and every order rounds differently.
MARGIN = 4
# PyTorch's kernels may be lucky with a few norms and elements. Other kernels' sums round by some 1e-6.
LEAST = 1e-5

LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
DEVIATIONS = {
    "original": [0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01],
    "paper": [0.01] * 8,
    "d2l": [0.05, 0.02, 0.02, 0.017, 0.017, 0.0125, 0.015, 0.015],
}
BIASES = {"original": [0, 1, 0, 1, 1, 1, 1, 0], "paper": [0, 1, 0, 1, 1, 1, 1, 0], "d2l": [0] * 8}


def units(count, seed):
    """The files' generator: numbers from 0 to below 1, from an integer hash of the position."""
    x = numpy.arange(count, dtype=numpy.uint32) + numpy.uint32(seed * 0x9E3779B9 & 0xFFFFFFFF)
    x ^= x >> 16
    x *= numpy.uint32(0x85EBCA6B)
    x ^= x >> 13
    x *= numpy.uint32(0xC2B2AE35)
    x ^= x >> 16
    return x / 2.0**32


def spread(values, limit):
    return (2 * values - 1) * limit


def parameters_of(file):
    """The parameters by name, float32, in the layout of the file: kernels HWIO, dense layers [in, out]."""
    values = {}
    for k, (name, known) in enumerate(file["parameters"].items()):
        _, layer, role = name.split("/")
        u = units(math.prod(known["shape"]), file["seed"] * 1000 + k)
        i = LAYERS.index(layer)
        if role == "kernel":
            flat = spread(u, DEVIATIONS[file["net"]][i] * math.sqrt(3))
        else:
            flat = BIASES[file["net"]][i] + spread(u, 0.05).astype(numpy.float32).astype(numpy.float64)
        values[name] = torch.from_numpy(flat.astype(numpy.float32)).reshape(known["shape"])
    return values


def images_of(file):
    """[B, C, 224, 224], float32, and the labels."""
    channels = 1 if file["net"] == "d2l" else 3
    u = units(file["batch"] * 224 * 224 * channels, file["seed"] * 1000 + 900)
    pixels = u if file["net"] == "d2l" else spread(u, 120)
    images = torch.from_numpy(pixels.astype(numpy.float32)).reshape(file["batch"], 224, 224, channels)
    labels = numpy.floor(units(file["batch"], file["seed"] * 1000 + 901) * file["classes"]).astype(numpy.int64)
    assert labels.tolist() == file["labels"], "the labels are not those of the seed"
    return images.permute(0, 3, 1, 2), torch.from_numpy(labels)


def forward(net, images, weights):
    """Both towers. Returns the scores and the activations that the files have, by name."""
    seen = {}

    def layer(name, inputs, function):
        kernels = [weights.get(f"tower{t}/{name}/kernel") for t in (0, 1)]
        biases = [weights.get(f"tower{t}/{name}/bias") for t in (0, 1)]
        return [function(x, k, b) for x, k, b in zip(inputs, kernels, biases) if k is not None]

    def conv(name, inputs, padding, stride=1):
        return layer(
            name, inputs, lambda x, k, b: conv2d(pad(x, padding), k.permute(3, 2, 0, 1), b, stride)
        )

    def dense(name, inputs):
        return layer(name, inputs, lambda x, k, b: x @ k + b)

    def keep(name, towers):
        seen.update({f"tower{t}/{name}": x for t, x in enumerate(towers)})
        return towers

    def both(towers):
        return [torch.cat(towers, 1)] * 2

    def flat(towers):
        return [x.permute(0, 2, 3, 1).flatten(1) for x in both(towers)]

    def each(function, towers):
        return [function(x) for x in towers]

    def pool(towers):
        return each(lambda x: max_pool2d(x, 3, 2), towers)

    def norm(alpha, towers):
        # PyTorch divides alpha by the size of the window.
        return each(lambda x: local_response_norm(x, 5, alpha * 5, 0.75, 2.0), towers)

    def map_norm(x):
        return x * (1 + 0.001 / 25 * avg_pool2d(pad(x * x, [2] * 4), 5, 1) * 25) ** -0.75

    reach = both if net == "d2l" else lambda towers: towers
    x = conv("conv1", [images] * 2, [0, 0, 0, 0] if net == "d2l" else [0, 3, 0, 3], 4)
    if net == "original":
        x = each(relu, pool(norm(1e-4 / 5, x)))
    elif net == "paper":
        x = pool(norm(1e-4, each(relu, x)))
    else:
        x = pool(each(relu, x))
    x = each(relu, conv("conv2", reach(x), [2] * 4))
    if net == "original":
        x = each(map_norm, norm(1e-4 / 5, x))
    elif net == "paper":
        x = norm(1e-4, x)
    x = keep("pool2", pool(x))
    x = keep("conv3", each(relu, conv("conv3", both(x), [1] * 4)))
    x = each(relu, conv("conv4", reach(x), [1] * 4))
    x = each(relu, pool(conv("conv5", reach(x), [1] * 4)))
    x = keep("pool5", x)
    x = keep("fc6", each(relu, dense("fc6", flat(x))))
    x = keep("fc7", each(relu, dense("fc7", both(x))))
    return dense("fc8", both(x))[0], seen


def train(file, dtype, perturb):
    """The losses of all steps; activations and gradients of the first, and the parameters after the last."""
    images, labels = images_of(file)
    images = perturb(images.to(dtype))
    weights = {name: perturb(value.to(dtype)) for name, value in parameters_of(file).items()}
    velocities = {name: torch.zeros_like(value) for name, value in weights.items()}
    result = {"loss": []}
    rate = file["optimizer"]["lr"]
    for step in range(len(file["steps"])):
        leaves = {name: value.requires_grad_() for name, value in weights.items()}
        scores, seen = forward(file["net"], images, leaves)
        loss = cross_entropy(scores, labels)
        gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))
        result["loss"].append(loss.item())
        if step == 0:
            nhwc = {name: x.permute(0, 2, 3, 1) if x.dim() == 4 else x for name, x in seen.items()}
            result["layers"] = {name: statistics(x, file["steps"][0]["layers"][name]) for name, x in nhwc.items()}
            known = file["steps"][0]["gradients"]
            result["gradients"] = {name: statistics(gradients[name], known[name]) for name in gradients}
        with torch.no_grad():
            for name, value in weights.items():
                is_bias = name.endswith("bias")
                own = rate * (file["optimizer"]["bias_lr_factor"] if is_bias else 1)
                decay = file["optimizer"]["bias_decay"] if is_bias else 0.0005
                velocities[name] = 0.9 * velocities[name] - decay * own * value - own * gradients[name]
                weights[name] = value.detach() + velocities[name]
    result["after"] = {name: statistics(value, file["after"][name]) for name, value in weights.items()}
    return result


def statistics(tensor, known):
    """The norm, the elements that the file has, and the number of elements, in float64."""
    flat = tensor.detach().double().flatten()
    return {"l2": flat.norm().item(), "at": [flat[int(i)].item() for i in known["at"]], "count": flat.numel()}


def deviations(found, exact):
    """The largest differences by kind, measured as `verify --golden` does."""
    worst = {"loss": max(abs(a - b) / abs(b) for a, b in zip(found["loss"], exact["loss"]))}
    for kind in ("layers", "gradients", "after"):
        norms, elements = [], []
        for name, b in exact[kind].items():
            a = found[kind][name]
            usual = b["l2"] / math.sqrt(b["count"])
            norms.append(abs(a["l2"] - b["l2"]) / b["l2"])
            elements += [abs(x - y) / usual for x, y in zip(a["at"], b["at"])]
        worst[kind] = {"norm": max(norms), "element": max(elements)}
    return worst


def of_file(file):
    return {
        "loss": [step["loss"] for step in file["steps"]],
        **{
            kind: {
                name: {"l2": known["l2"], "at": list(known["at"].values())}
                for name, known in (file["after"] if kind == "after" else file["steps"][0][kind]).items()
            }
            for kind in ("layers", "gradients", "after")
        },
    }


def tolerance_of(runs):
    """The largest of each value with margin, rounded up to two digits."""
    if isinstance(runs[0], dict):
        return {key: tolerance_of([run[key] for run in runs]) for key in runs[0]}
    value = max(MARGIN * max(runs), LEAST)
    unit = 10 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.1e}")


def perturbation(seed):
    generator = torch.Generator().manual_seed(seed)

    def perturb(x):
        e = torch.rand(x.shape, generator=generator, dtype=torch.float64) * 2 - 1
        return (x.double() * (1 + PERTURBATION * e)).to(x.dtype)

    return perturb


for path in map(Path, sys.argv[1:]):
    file = json.loads(path.read_text())
    exact = train(file, torch.float64, lambda x: x)
    wrong = deviations(of_file(file), exact)
    print(path.name, "float64, file against PyTorch:", json.dumps(wrong))
    assert wrong["loss"] < 1e-9 and all(max(wrong[kind].values()) < 1e-6 for kind in ("layers", "gradients", "after"))
    runs = []
    for variant in range(VARIANTS):
        perturb = perturbation(variant) if variant > 0 else lambda x: x
        runs.append(deviations(train(file, torch.float32, perturb), exact))
        print(path.name, "float32,", f"perturbed, seed {variant}:" if variant else "as it is:", json.dumps(runs[-1]))
    file["tolerance"] = tolerance_of(runs)
    print(path.name, "tolerance:", json.dumps(file["tolerance"]))
    path.write_text(json.dumps(file, indent=1) + "\n")
