"""Training steps of the paper's net in PyTorch, for the benchmark `step`.

Each line on stdin names a variant, and asks for one step of it. The answer is a line with its milliseconds. `eager` and
`compile` are the usual net, `expert` and `expert-compile` the net as a PyTorch expert would write it for CPUs. Before the
first step of an expert, its loss and gradients are compared with those of the usual net. The script fails if they differ.
"""
import argparse
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

# PyTorch's own response norm divides alpha by the window's size.
SIZE, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0

# The allowed relative difference of an expert's loss and gradients from those of the usual net. Another order of float32
# sums changes both by some 1e-7, and near ties in pools and ReLUs change the gradients by 1e-3. A wrong norm changes them
# by 0.2 or more.
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 2e-2

# The compared images are multiplied by this. Then the sums of the norms are far above K, and a wrong norm is found.
LOUD = 1000


class Paper(nn.Module):
    """The net of the paper's text: grouped convolutions, response norms within each half, dropout in fc6 and fc7."""

    def __init__(self, width, pixels, classes):
        super().__init__()
        half = lambda count: max(1, round(count * width / 2)) * 2
        a, b, c, d, e, units = half(96), half(256), half(384), half(384), half(256), half(4096)
        self.conv1 = nn.Conv2d(3, a, 11, 4)
        self.conv2 = nn.Conv2d(a, b, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.conv4 = nn.Conv2d(c, d, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1, groups=2)
        rows = -(-(pixels - 11) // 4) + 1
        self.fill = (rows - 1) * 4 + 11 - pixels
        for _ in range(3):
            rows = (rows - 3) // 2 + 1
        self.fc6 = nn.Linear(e * rows * rows, units)
        self.fc7 = nn.Linear(units, units)
        self.fc8 = nn.Linear(units, classes)

    relu = staticmethod(F.relu)

    def norm(self, x, layer):
        return torch.cat([F.local_response_norm(part, SIZE, SIZE * ALPHA, BETA, K) for part in x.chunk(2, 1)], 1)

    def forward(self, x):
        relu = self.relu
        x = F.pad(x, (0, self.fill, 0, self.fill))
        x = F.max_pool2d(self.norm(relu(self.conv1(x)), 1), 3, 2)
        x = F.max_pool2d(self.norm(relu(self.conv2(x)), 2), 3, 2)
        x = relu(self.conv4(relu(self.conv3(x))))
        x = relu(F.max_pool2d(self.conv5(x), 3, 2)).flatten(1)
        x = F.dropout(relu(self.fc6(x)), 0.5, self.training)
        x = F.dropout(relu(self.fc7(x)), 0.5, self.training)
        return self.fc8(x)


class Norm(torch.autograd.Function):
    """x scale^-0.75, where scale = K + ALPHA (sum of the squares in the window): in as few passes over memory as possible."""

    @staticmethod
    def forward(ctx, x, band, offset):
        scale = F.conv2d(x * x, band, offset)
        root = scale.rsqrt()
        factor = root.sqrt().mul_(root)
        ctx.save_for_backward(x, band, scale, factor)
        return x * factor

    @staticmethod
    def backward(ctx, gradient):
        x, band, scale, factor = ctx.saved_tensors
        direct = gradient * factor
        # A window is symmetric, so the sum over the outputs that read a channel is the same convolution.
        through = F.conv2d((direct * x).div_(scale), band)
        return direct.addcmul_(x, through, value=-2 * BETA), None, None


class Expert(Paper):
    """The same function. The sum of a window is a 1 x 1 convolution with a band matrix. ReLUs work in place."""

    relu = staticmethod(F.relu_)

    def __init__(self, width, pixels, classes):
        super().__init__(width, pixels, classes)
        for name, channels in (("1", self.conv1.out_channels), ("2", self.conv2.out_channels)):
            place = torch.arange(channels)
            half = place // (channels // 2)
            near = (place[:, None] - place).abs() <= SIZE // 2
            band = (near & (half[:, None] == half)) * ALPHA
            self.register_buffer(f"band{name}", band[:, :, None, None], persistent=False)
            self.register_buffer(f"offset{name}", torch.full((channels,), K), persistent=False)

    def normed(self, x, band, offset):
        if not torch.compiler.is_compiling():
            return Norm.apply(x, band, offset)
        root = F.conv2d(x * x, band, offset).rsqrt()
        return x * (root * root.sqrt())

    def norm(self, x, layer):
        return self.normed(x, getattr(self, f"band{layer}"), getattr(self, f"offset{layer}"))


def can_fuse():
    """Whether this build of PyTorch has a fused optimizer for this CPU."""
    try:
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1, fused=True)
    except RuntimeError:
        return False
    return True


def gradients_of(loss_of, model, images, labels):
    """The loss without dropout, and the gradients."""
    model.eval()
    loss = loss_of(images, labels)
    loss.backward()
    gradients = {name: each.grad for name, each in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    model.train()
    return loss.item(), gradients


def compare(name, loss_of, model, plain, images, labels):
    """Ends the process if the expert's net computes something else than the usual net."""
    loud = images * LOUD
    loss, gradients = gradients_of(loss_of, model, loud, labels)
    expected, wanted = gradients_of(lambda x, y: F.cross_entropy(plain(x), y), plain, loud, labels)
    # Of all gradients together, because one unit near a tie can change much of a small gradient.
    lengths = [torch.stack([each.norm() for each in some]).norm().item()
               for some in ([gradients[key] - each for key, each in wanted.items()], wanted.values())]
    far = lengths[0] / lengths[1]
    # Not "greater than": NaN is a failure too.
    if not abs(loss - expected) <= LOSS_TOLERANCE * abs(expected):
        sys.exit(f"{name} differs from the usual net: its loss is {loss}, expected {expected}")
    if not far <= GRADIENT_TOLERANCE:
        sys.exit(f"{name} differs from the usual net: its gradients differ by {far:.1e}, relative")
    return {"loss": abs(loss - expected) / abs(expected), "gradients": far}


def trainer(name, batch, pixels, classes, width):
    is_expert, is_compiled = name.startswith("expert"), name.endswith("compile")
    torch.manual_seed(0)
    plain = Paper(width, pixels, classes)
    model = plain
    images = torch.randn(batch, 3, pixels, pixels)
    labels = torch.randint(classes, (batch,))
    settings = {"lr": 1e-4, "momentum": 0.9, "weight_decay": 5e-4}
    if is_expert:
        model = Expert(width, pixels, classes)
        model.load_state_dict(plain.state_dict())
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
        settings["fused"] = can_fuse()
    optimizer = torch.optim.SGD(model.parameters(), **settings)
    run = torch.compile(model, dynamic=False if is_expert else None) if is_compiled else model
    loss_of = lambda x, y: F.cross_entropy(run(x), y)
    differences = compare(name, loss_of, model, plain, images, labels) if is_expert else None
    torch.manual_seed(1)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(images, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, differences


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("batch", int), ("pixels", int), ("classes", int), ("width", float), ("threads", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    steps = {}
    print(json.dumps({"torch": torch.__version__, "fused": can_fuse()}), flush=True)
    for line in sys.stdin:
        name, differences = line.strip(), None
        if name not in steps:
            steps[name], differences = trainer(name, options.batch, options.pixels, options.classes, options.width)
        started = time.perf_counter()
        loss = steps[name]()
        answer = {"ms": (time.perf_counter() - started) * 1000, "loss": loss}
        print(json.dumps({**answer, **({"differences": differences} if differences else {})}), flush=True)


if __name__ == "__main__":
    main()
