"""Small checkpoints with the modules' names of YOLOv5 6.0 and YOLOv5-Lite 1.4, and what the networks make of a picture.

    python3 checkpoints.py FOLDER        needs PyTorch 1.13 or newer

The networks are those of the projects' architecture files, narrower; weights are random numbers in half precision. Beside
them a file holds `expected.0` to `expected.2`, the raw maps for the picture of `picture()`. Made with PyTorch 1.13.0.
"""

import math
import sys

import torch
from torch import nn

CLASSES = 2
WIDTH = 0.0625
SIDE = 64
ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


def wide(channels):
    return math.ceil(channels * WIDTH / 8) * 8


def picture():
    """Bytes that anybody can make again, as numbers from 0 to 1."""
    codes = torch.arange(3 * SIDE * SIDE) * 37 % 256
    return (codes.float() / 255).view(1, 3, SIDE, SIDE)


class Conv(nn.Module):
    def __init__(self, c1, c2, k=1, s=1, p=None, act=nn.SiLU, g=1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2 if p is None else p, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = act()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, c, shortcut):
        super().__init__()
        self.cv1 = Conv(c, c)
        self.cv2 = Conv(c, c, 3)
        self.shortcut = shortcut

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=True):
        super().__init__()
        half = c2 // 2
        self.cv1 = Conv(c1, half)
        self.cv2 = Conv(c1, half)
        self.cv3 = Conv(2 * half, c2)
        self.m = nn.Sequential(*[Bottleneck(half, shortcut) for _ in range(n)])

    def forward(self, x):
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))


class Pyramid(nn.Module):
    """SPP (windows beside each other) or SPPF (in a row)."""

    def __init__(self, c1, c2, windows):
        super().__init__()
        self.cv1 = Conv(c1, c1 // 2)
        self.cv2 = Conv(c1 // 2 * 4, c2)
        self.windows = windows

    def forward(self, x):
        parts = [self.cv1(x)]
        for i, k in enumerate(self.windows):
            source = parts[-1] if self.windows[0] == self.windows[1] else parts[0]
            parts.append(nn.functional.max_pool2d(source, k, 1, k // 2))
        return self.cv2(torch.cat(parts, 1))


class Stem(nn.Module):
    def __init__(self, c2):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, c2, 3, 2, 1, bias=False), nn.BatchNorm2d(c2), nn.ReLU())

    def forward(self, x):
        return nn.functional.max_pool2d(self.conv(x), 3, 2, 1)


class Shuffle(nn.Module):
    def __init__(self, c1, c2, stride):
        super().__init__()
        half = c2 // 2
        self.stride = stride
        if stride == 2:
            self.branch1 = nn.Sequential(
                nn.Conv2d(c1, c1, 3, 2, 1, groups=c1, bias=False), nn.BatchNorm2d(c1),
                nn.Conv2d(c1, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.branch2 = nn.Sequential(
            nn.Conv2d(c1 if stride == 2 else half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())

    def forward(self, x):
        if self.stride == 2:
            y = torch.cat([self.branch1(x), self.branch2(x)], 1)
        else:
            left, right = x.chunk(2, 1)
            y = torch.cat([left, self.branch2(right)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Separable(nn.Module):
    def __init__(self, c1, c2, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c1, c1, 3, stride, 1, groups=c1, bias=False)
        self.bn1 = nn.BatchNorm2d(c1)
        self.conv2 = nn.Conv2d(c1, c2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c2)

    def forward(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()


class Excite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c // 4, 1)
        self.conv2 = nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        return x * nn.functional.silu(self.conv2(self.conv1(x.mean((2, 3), keepdim=True)).relu()))


class LcBlock(nn.Module):
    def __init__(self, c1, c2, stride, k, gated):
        super().__init__()
        self.dw_conv = Conv(c1, c1, k, stride, act=nn.Hardswish, g=c1)
        self.se = Excite(c1) if gated else nn.Identity()
        self.pw_conv = Conv(c1, c2, act=nn.Hardswish)

    def forward(self, x):
        return self.pw_conv(self.se(self.dw_conv(x)))


class Dense(nn.Module):
    def __init__(self, c1, c2):
        super().__init__()
        self.dense_conv = nn.Conv2d(c1, c2, 1, bias=False)

    def forward(self, x):
        return nn.functional.hardswish(self.dense_conv(x))


class Focus(nn.Module):
    def __init__(self, c2):
        super().__init__()
        self.conv = Conv(12, c2, 3)

    def forward(self, x):
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, 1))


class ConvNorm(nn.Module):
    def __init__(self, c1, c2, k, s):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2)

    def forward(self, x):
        return self.bn(self.conv(x))


class RepVgg(nn.Module):
    def __init__(self, c1, c2):
        super().__init__()
        self.rbr_dense = ConvNorm(c1, c2, 3, 2)
        self.rbr_1x1 = ConvNorm(c1, c2, 1, 2)

    def forward(self, x):
        return nn.functional.silu(self.rbr_dense(x) + self.rbr_1x1(x))


class Join(nn.Module):
    """Concat, or ADD."""

    def __init__(self, add=False):
        super().__init__()
        self.add = add

    def forward(self, xs):
        return xs[0] + xs[1] if self.add else torch.cat(xs, 1)


class Detect(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.m = nn.ModuleList(nn.Conv2d(c, 3 * (5 + CLASSES), 1) for c in channels)
        strides = torch.tensor([8.0, 16.0, 32.0]).view(3, 1, 1)
        self.register_buffer("anchors", torch.tensor(ANCHORS).float().view(3, 3, 2) / strides)

    def forward(self, xs):
        return [m(x) for m, x in zip(self.m, xs)]


class Network(nn.Module):
    """Lines of an architecture's file: where each comes from, and its module."""

    def __init__(self, lines):
        super().__init__()
        self.sources = [source for source, _ in lines]
        self.model = nn.Sequential(*[module for _, module in lines])

    def forward(self, x):
        results = []
        for source, module in zip(self.sources, self.model):
            take = lambda i: (results[i] if results else x)
            x = module([take(i) for i in source] if isinstance(source, list) else take(source))
            results.append(x)
        return x


def neck(lines, p3, p4, p5, lateral, blocks, n, down):
    """The lines behind a backbone that ends with `p5` channels; `p3` and `p4` are lines of it, and their channels."""
    c5, c4 = lateral
    start = len(lines)
    add = lambda module, source=-1: lines.append((source, module))
    add(Conv(p5, c5))
    add(nn.Upsample(scale_factor=2))
    add(Join(), [-1, p4[0]])
    add(C3(c5 + p4[1], blocks[0], n, False))
    add(Conv(blocks[0], c4))
    add(nn.Upsample(scale_factor=2))
    add(Join(), [-1, p3[0]])
    add(C3(c4 + p3[1], blocks[1], n, False))
    add(down(blocks[1], c4))
    add(Join(), [-1, start + 4])
    add(C3(2 * c4, blocks[2], n, False))
    add(down(blocks[2], c5))
    add(Join(), [-1, start])
    add(C3(2 * c5, blocks[3], n, False))
    add(Detect(blocks[1:]), [start + 7, start + 10, start + 13])
    return Network(lines)


def down_conv(c1, c2):
    return Conv(c1, c2, 3, 2)


def shuffle_backbone(last):
    c0, c1, c2, c3 = wide(32), wide(116), wide(232), wide(464)
    units = lambda c, n: Shuffle(c, c, 1) if n == 1 else nn.Sequential(*[Shuffle(c, c, 1) for _ in range(n)])
    modules = [Stem(c0), Shuffle(c0, c1, 2), units(c1, 3), Shuffle(c1, c2, 2), units(c2, 7), Shuffle(c2, c3, 2),
               units(c3, last)]
    return [(-1, module) for module in modules], (2, c1), (4, c2), c3


def v5lite_e():
    lines, p3, p4, c = shuffle_backbone(1)
    w = wide(96)
    add = lambda module, source=-1: lines.append((source, module))
    add(Conv(c, w))
    add(nn.Upsample(scale_factor=2))
    add(Join(), [-1, 4])
    add(Separable(w + p4[1], w, 1))
    add(Conv(w, w))
    add(nn.Upsample(scale_factor=2))
    add(Join(), [-1, 2])
    add(Separable(w + p3[1], w, 1))
    add(Separable(w, w, 2))
    add(Join(True), [-1, 11])
    add(Separable(w, w, 1))
    add(Separable(w, w, 2))
    add(Join(True), [-1, 7])
    add(Separable(w, w, 1))
    add(Detect([w] * 3), [14, 17, 20])
    return Network(lines)


def v5lite_s():
    lines, p3, p4, p5 = shuffle_backbone(3)
    return neck(lines, p3, p4, p5, [wide(128), wide(64)], [wide(c) for c in (128, 64, 128, 256)], 1, down_conv)


def v5lite_c():
    blocks = [(64, 2, 3, 0), (64, 1, 3, 0), (128, 2, 3, 0)] + [(128, 1, 3, 0)] * 3 + [(256, 2, 3, 0)]
    blocks += [(256, 1, 5, 0)] * 5 + [(512, 2, 5, 1)] + [(512, 1, 5, 1)] * 3
    lines, c = [(-1, Conv(3, wide(32), 3, 2, act=nn.Hardswish))], wide(32)
    for out, stride, k, gated in blocks:
        lines.append((-1, LcBlock(c, wide(out), stride, k, bool(gated))))
        c = wide(out)
    lines.append((-1, Dense(c, c)))
    down = lambda c1, c2: LcBlock(c1, c2, 2, 5, True)
    return neck(lines, (6, wide(128)), (12, wide(256)), c, [wide(256), wide(128)],
                [wide(c) for c in (256, 128, 256, 512)], 1, down)


def v5lite_g():
    c1, c2, c3, c4, c5 = [wide(c) for c in (32, 64, 128, 256, 512)]
    modules = [Focus(c1), RepVgg(c1, c2), C3(c2, c2), RepVgg(c2, c3), C3(c3, c3, 3), RepVgg(c3, c4), C3(c4, c4, 3),
               RepVgg(c4, c5), Pyramid(c5, c5, [5, 9, 13]), C3(c5, c5, 1, False)]
    lines = [(-1, module) for module in modules]
    return neck(lines, (4, c3), (6, c4), c5, [wide(128)] * 2, [wide(128)] * 4, 3, down_conv)


def yolov5():
    """The depth of yolov5n and yolov5s."""
    c1, c2, c3, c4, c5 = [wide(c) for c in (64, 128, 256, 512, 1024)]
    modules = [Conv(3, c1, 6, 2, 2), Conv(c1, c2, 3, 2), C3(c2, c2), Conv(c2, c3, 3, 2), C3(c3, c3, 2),
               Conv(c3, c4, 3, 2), C3(c4, c4, 3), Conv(c4, c5, 3, 2), C3(c5, c5), Pyramid(c5, c5, [5, 5, 5])]
    lines = [(-1, module) for module in modules]
    return neck(lines, (4, c3), (6, c4), c5, [wide(512), wide(256)], [wide(c) for c in (512, 256, 512, 1024)], 1, down_conv)


def main(folder):
    for build in (v5lite_e, v5lite_s, v5lite_c, v5lite_g, yolov5):
        torch.manual_seed(1)
        network = build().eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3
                for tensor, low, high in [(module.weight, 0.5, 2), (module.bias, -0.5, 0.5),
                                          (module.running_mean, -0.2, 0.2), (module.running_var, 0.2, 1)]:
                    nn.init.uniform_(tensor, low, high)
        network = network.half().float()
        with torch.no_grad():
            maps = network(picture())
        tensors = {name: t.half() for name, t in network.state_dict().items() if t.is_floating_point()}
        tensors.update({f"expected.{i}": map for i, map in enumerate(maps)})
        name = build.__name__.replace("_", "-")
        torch.save(tensors, f"{folder}/{name}.pt")
        print(name, sum(t.numel() for t in network.parameters()), [round(float(m.std()), 4) for m in maps])


main(sys.argv[1])
