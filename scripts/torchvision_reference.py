"""What torchvision's AlexNet answers, for test/weights/torchvision.test.ts.

    python3 scripts/torchvision_reference.py make FOLDER    writes photos, random weights and the answers to them
    python3 scripts/torchvision_reference.py load FILE      loads a file strictly, and prints a hash of its values

Needs torch, torchvision, safetensors and Pillow.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import AlexNet_Weights, alexnet

SIZES = [(451, 300), (375, 501), (640, 427), (201, 301)]


def photo(width, height, seed):
    """Smooth shapes with noise: the low frequencies of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    image = sum(
        torch.nn.functional.interpolate(
            torch.rand(1, 3, cells, cells, generator=generator), (height, width), mode="bicubic"
        )
        / weight
        for cells, weight in [(3, 1.5), (12, 4), (80, 8)]
    )
    return Image.fromarray((image[0].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())


def net_of(weights):
    net = alexnet(weights=None)
    net.load_state_dict(weights, strict=True)
    return net.eval()


def hash_of(weights):
    values = b"".join(weights[name].contiguous().numpy().tobytes() for name in sorted(weights))
    return hashlib.sha256(values).hexdigest()


def random_weights():
    """Normal, with deviations by which the scores differ as much as a trained net's."""
    torch.manual_seed(1)
    weights = alexnet(weights=None).state_dict()
    for name, weight in weights.items():
        deviation = (2 / weight[0].numel()) ** 0.5 if name.endswith("weight") else 0.1
        weight.normal_(0, deviation)
    return weights


def make(folder):
    weights = random_weights()
    save_file(weights, folder / "alexnet.safetensors")
    torch.save(weights, folder / "alexnet.pth")
    torch.save(weights, folder / "old.pth", _use_new_zipfile_serialization=False)
    prepare = AlexNet_Weights.IMAGENET1K_V1.transforms()
    files = []
    for i, (width, height) in enumerate(SIZES):
        files.append(folder / f"photo{i}.jpg")
        photo(width, height, i).save(files[-1], quality=90)
    images = torch.stack([prepare(Image.open(file).convert("RGB")) for file in files])
    net = net_of(weights)
    with torch.no_grad():
        scores = net(images)
        exact = net.double()(images.double())
    answers = {
        "torch": torch.__version__,
        "sha256": hash_of(weights),
        "files": [str(file) for file in files],
        "scores": exact.tolist(),
        "float32": (scores - exact).abs().max().item(),
    }
    (folder / "answers.json").write_text(json.dumps(answers))


if sys.argv[1] == "make":
    make(Path(sys.argv[2]))
else:
    loaded = load_file(sys.argv[2])
    net_of(loaded)
    print(hash_of(loaded))
