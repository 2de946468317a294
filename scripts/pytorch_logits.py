"""PyTorch's logits of the cases that scripts/pytorch-cases.ts wrote, as JSON; that file says how to run both."""

import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "pytorch"))
from alexnet_split import load  # noqa: E402



def torchvision_net(weights):
    """torchvision/models/alexnet.py, as wide as the weights are."""
    (a, b, c, d, e), (f, g, h) = [
        [weights[f"{part}.{number}.bias"].shape[0] for number in numbers]
        for part, numbers in [("features", [0, 3, 6, 8, 10]), ("classifier", [1, 4, 6])]
    ]
    net = nn.Sequential()
    net.features = nn.Sequential(
        nn.Conv2d(3, a, kernel_size=11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(a, b, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(b, c, kernel_size=3, padding=1), nn.ReLU(),
        nn.Conv2d(c, d, kernel_size=3, padding=1), nn.ReLU(),
        nn.Conv2d(d, e, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(kernel_size=3, stride=2),
    )  # fmt: skip
    net.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d((6, 6)), nn.Flatten())
    net.classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(e * 6 * 6, f), nn.ReLU(), nn.Dropout(), nn.Linear(f, g), nn.ReLU(), nn.Linear(g, h)
    )
    net.load_state_dict(weights, strict=True)
    return net


cases = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    file = folder / "exported.safetensors"
    net = load(file).double().eval()
    own = torchvision_net(load_file(file)).double().eval() if folder.name == "torchvision" else net
    images = load_file(folder / "images.safetensors")["images"].double()
    with torch.no_grad():
        logits = own(images)
        assert torch.allclose(logits, net(images), rtol=0, atol=1e-12)
    cases[folder.name] = {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "logits": [[round(value, 9) for value in row] for row in logits.tolist()],
    }
print(json.dumps({"torch": torch.__version__, "cases": cases}, indent=1))
