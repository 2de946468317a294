"""A net of alexnet-split in PyTorch, from a file that `alexnet-split export` wrote.

    from alexnet_split import load
    net = load("net.safetensors").eval()
    logits = net(images)  # [B, C, H, W], channels in the order red, green, blue

Images are prepared as the run did it: (pixels from 0 to 255 - mean) * scale; see net.description["settings"]["data"].
Where that has meanImage, the mean is the middle of net.mean_image, [C, H, W]. net.description has the names of the
classes, if the run has them.
Needs torch and safetensors.
"""

import json

import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """The layers of a description, in order. Weights have the names conv1.weight, conv1.bias, ..., fc8.bias."""

    def __init__(self, description, shapes):
        super().__init__()
        if description["version"] != 1:
            raise ValueError(f"this module reads descriptions of version 1, not {description['version']}")
        self.description = description
        for layer in description["layers"]:
            if layer["kind"] == "conv":
                outputs, inputs, size, _ = shapes[layer["name"] + ".weight"]
                groups = layer["groups"]
                module = nn.Conv2d(inputs * groups, outputs, size, layer["stride"], groups=groups)
            elif layer["kind"] == "dense":
                module = GroupedLinear(shapes[layer["name"] + ".weight"], layer["groups"])
            else:
                continue
            self.add_module(layer["name"], module)

    def forward(self, x):
        for layer in self.description["layers"]:
            x = getattr(self, "run_" + layer["kind"])(x, layer)
        return x

    def run_conv(self, x, layer):
        # Rows below and columns at the right may differ from those above and at the left: F.pad, not Conv2d's padding.
        before, after = layer["padding"]
        return self.get_submodule(layer["name"])(F.pad(x, (before, after, before, after)))

    def run_dense(self, x, layer):
        return self.get_submodule(layer["name"])(x.flatten(1))

    def run_pool(self, x, layer):
        pool = F.max_pool2d if layer["op"] == "max" else F.avg_pool2d
        return pool(x, layer["size"], layer["stride"])

    def run_activation(self, x, layer):
        return getattr(torch, layer["function"])(x)

    def run_norm(self, x, layer):
        # Each tower norms its own channels. PyTorch divides alpha by the window's size; the description's alpha, as
        # TensorFlow's, is the factor on the plain sum.
        size = layer["size"]
        towers = x.reshape(-1, x.shape[1] // layer["groups"], *x.shape[2:])
        y = F.local_response_norm(towers, size, layer["alpha"] * size, layer["beta"], layer["k"])
        return y.reshape(x.shape)

    def run_mapNorm(self, x, layer):
        # The sum of squares over size x size pixels of the same channel, with zeros around the map.
        size = layer["size"]
        before = (size - 1) // 2
        squares = F.pad(x * x, (before, size - 1 - before, before, size - 1 - before))
        sums = F.avg_pool2d(squares, size, 1) * size**2
        return x * (layer["k"] + layer["alpha"] * sums) ** -layer["beta"]

    def run_dropout(self, x, layer):
        keep = layer["keep"]
        if layer["scale"] == "train":
            return F.dropout(x, 1 - keep, self.training)
        # As in 2012: the mask as it is in training, the factor at test.
        return x * (torch.rand_like(x) < keep) if self.training else x * keep


class GroupedLinear(nn.Module):
    """nn.Linear, and with two groups each half of the outputs reads its half of the inputs."""

    def __init__(self, shape, groups):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape[0]))

    def forward(self, x):
        halves = zip(x.chunk(self.groups, 1), self.weight.chunk(self.groups), self.bias.chunk(self.groups))
        return torch.cat([F.linear(*half) for half in halves], 1)


def load(file, device="cpu"):
    """The net of a file, its weights loaded strictly: all of them, and nothing else."""
    with safe_open(file, framework="pt", device=device) as tensors:
        metadata = tensors.metadata() or {}
        if "alexnet_split" not in metadata:
            raise ValueError(f"{file} has no description of its net; alexnet-split export writes one")
        weights = {name: tensors.get_tensor(name) for name in tensors.keys()}
    mean_image = weights.pop("mean_image", None)
    description = json.loads(metadata["alexnet_split"])
    # The net torchvision has torchvision's names in the file: features.0.weight is conv1.weight here.
    layers = {module: layer for layer, module in description.get("modules", {}).items()}
    weights = {".".join([layers.get(module, module), role]): weight
               for (module, role), weight in ((name.rsplit(".", 1), weight) for name, weight in weights.items())}
    shapes = {name: list(weight.shape) for name, weight in weights.items()}
    net = Net(description, shapes).to(device)
    net.load_state_dict(weights, strict=True)
    net.mean_image = mean_image
    return net
