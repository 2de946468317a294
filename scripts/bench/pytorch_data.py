"""Epochs of PyTorch's DataLoader over a folder of images, for bench data.

A line on stdin names a variant, CROP/WORKERS; the answer is a line of JSON with its milliseconds. CROP is `crop`, as the
recipe of 2012 cuts images (Resize and RandomCrop), `sized`, the same with images that have that size (RandomCrop), or
`resized`, as torchvision's references do (RandomResizedCrop). `sized` takes the images of the folder --sized. Between the
epochs no worker has work: an epoch ends when all of its images have been prepared.
"""
import argparse
import json
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--sized", required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--resize", type=int, required=True)
    parser.add_argument("--crop", type=int, required=True)
    args = parser.parse_args()

    import torch
    import torchvision
    from torchvision import transforms

    torch.set_num_threads(1)
    print(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__}), flush=True)
    end = [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    begins = {
        "crop": [transforms.Resize(args.resize), transforms.RandomCrop(args.crop)],
        "sized": [transforms.RandomCrop(args.crop)],
        "resized": [transforms.RandomResizedCrop(args.crop)],
    }
    loaders = {}

    def loader_of(name):
        if name not in loaders:
            crop, workers = name.split("/")
            folder = torchvision.datasets.ImageFolder(args.sized if crop == "sized" else args.folder, transforms.Compose(begins[crop] + end))
            chosen = torch.utils.data.Subset(folder, [i % len(folder) for i in range(args.images)])
            loaders[name] = torch.utils.data.DataLoader(
                chosen,
                batch_size=args.batch,
                shuffle=True,
                num_workers=int(workers),
                persistent_workers=int(workers) > 0,
            )
        return loaders[name]

    for line in sys.stdin:
        loader = loader_of(line.strip())
        started = time.perf_counter()
        images = sum(len(labels) for _, labels in loader)
        print(json.dumps({"ms": 1000 * (time.perf_counter() - started), "images": images}), flush=True)


main()
