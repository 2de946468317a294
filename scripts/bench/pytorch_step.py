"""Training steps of the paper's net in PyTorch, for the benchmark beside it.

Reads from stdin the name of a variant, `eager` or `compile`, a line a step; answers with the milliseconds it took.
"""
import argparse
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


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

    def norm(self, x):
        # PyTorch divides alpha by the window's size.
        return torch.cat([F.local_response_norm(part, 5, 5e-4, 0.75, 2.0) for part in x.chunk(2, 1)], 1)

    def forward(self, x):
        x = F.pad(x, (0, self.fill, 0, self.fill))
        x = F.max_pool2d(self.norm(F.relu(self.conv1(x))), 3, 2)
        x = F.max_pool2d(self.norm(F.relu(self.conv2(x))), 3, 2)
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = F.relu(F.max_pool2d(self.conv5(x), 3, 2)).flatten(1)
        x = F.dropout(F.relu(self.fc6(x)), 0.5, self.training)
        x = F.dropout(F.relu(self.fc7(x)), 0.5, self.training)
        return self.fc8(x)


def trainer(model, batch, pixels, classes, compiled):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, pixels, pixels)
    labels = torch.randint(classes, (batch,))
    run = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("batch", int), ("pixels", int), ("classes", int), ("width", float), ("threads", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    steps = {}
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name not in steps:
            model = Paper(options.width, options.pixels, options.classes)
            steps[name] = trainer(model, options.batch, options.pixels, options.classes, name == "compile")
        started = time.perf_counter()
        loss = steps[name]()
        print(json.dumps({"ms": (time.perf_counter() - started) * 1000, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
