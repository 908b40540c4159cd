"""Numbers for the test of the training loss: YOLOv5 6.0's ComputeLoss, written with NumPy from its definition.

Run: python3 yolo_loss.py. Maps are [image, anchor, row, column, 5 + classes]; logits follow a formula that the
test repeats. Where several boxes want one cell's anchor, the best fit counts (YOLOv5's sort_obj_iou).
"""

import numpy as np

SIZE, CLASSES, IMAGES = 64, 2, 2
STRIDES = [8, 16, 32]
ANCHORS = [[(4, 5), (8, 14), (16, 11)], [(12, 24), (24, 16), (23, 46)], [(44, 36), (48, 60), (62, 50)]]
BALANCE = [4.0, 1.0, 0.4]
GAINS = dict(box=0.05, obj=(SIZE / 640) ** 2, cls=0.5 * CLASSES / 80)
# image, class, middle x, middle y, width, height
TARGETS = np.array(
    [
        (0, 0, 0.31, 0.42, 0.20, 0.35),
        (0, 1, 0.70, 0.55, 0.45, 0.30),
        (0, 1, 0.72, 0.53, 0.40, 0.33),
        (1, 0, 0.05, 0.97, 0.08, 0.06),
        (1, 1, 0.50, 0.50, 0.90, 0.80),
    ]
)


def logits():
    maps = []
    for level, stride in enumerate(STRIDES):
        cells = SIZE // stride
        index = np.arange(IMAGES * 3 * cells * cells * (5 + CLASSES), dtype=np.float64)
        values = 1.5 * np.sin(0.37 * index + level)
        maps.append(values.reshape(IMAGES, 3, cells, cells, 5 + CLASSES))
    return maps


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bce(x, t):
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))


def ciou(a, b, alpha=None, eps=1e-7):
    x1, x2 = a[:, 0] - a[:, 2] / 2, a[:, 0] + a[:, 2] / 2
    y1, y2 = a[:, 1] - a[:, 3] / 2, a[:, 1] + a[:, 3] / 2
    u1, u2 = b[:, 0] - b[:, 2] / 2, b[:, 0] + b[:, 2] / 2
    v1, v2 = b[:, 1] - b[:, 3] / 2, b[:, 1] + b[:, 3] / 2
    inter = (np.minimum(x2, u2) - np.maximum(x1, u1)).clip(0) * (np.minimum(y2, v2) - np.maximum(y1, v1)).clip(0)
    w1, h1, w2, h2 = a[:, 2], a[:, 3] + eps, b[:, 2], b[:, 3] + eps
    iou = inter / (w1 * h1 + w2 * h2 - inter + eps)
    c2 = (np.maximum(x2, u2) - np.minimum(x1, u1)) ** 2 + (np.maximum(y2, v2) - np.minimum(y1, v1)) ** 2 + eps
    rho2 = (a[:, 0] - b[:, 0]) ** 2 + (a[:, 1] - b[:, 1]) ** 2
    v = 4 / np.pi**2 * (np.arctan(w2 / h2) - np.arctan(w1 / h1)) ** 2
    if alpha is None:
        alpha = v / (v - iou + 1 + eps)
    return iou - rho2 / c2 - alpha * v, alpha


def build_targets(level):
    cells = SIZE // STRIDES[level]
    anchors = np.array(ANCHORS[level]) / STRIDES[level]
    t = np.repeat(TARGETS[None], 3, axis=0).copy()
    t[..., 2:] *= cells
    which = np.repeat(np.arange(3)[:, None], len(TARGETS), axis=1)
    ratio = t[..., 4:6] / anchors[:, None]
    keep = np.maximum(ratio, 1 / ratio).max(-1) < 4
    t, which = t[keep], which[keep]
    gxy, gxi = t[:, 2:4], cells - t[:, 2:4]
    j, k = ((gxy % 1 < 0.5) & (gxy > 1)).T
    left, up = ((gxi % 1 < 0.5) & (gxi > 1)).T
    rows = np.stack([np.ones_like(j), j, k, left, up])
    steps = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.5
    t5, which5 = np.repeat(t[None], 5, axis=0)[rows], np.repeat(which[None], 5, axis=0)[rows]
    offsets = np.repeat(steps[:, None], len(t), axis=1)[rows]
    cell = (t5[:, 2:4] - offsets).astype(int).clip(0, cells - 1)
    box = np.concatenate([t5[:, 2:4] - cell, t5[:, 4:6]], axis=1)
    return t5[:, 0].astype(int), which5, cell[:, 1], cell[:, 0], box, anchors[which5], t5[:, 1].astype(int)


def loss(maps):
    lbox = lobj = lcls = 0.0
    for level, p in enumerate(maps):
        b, a, gj, gi, box, anchor, cls = build_targets(level)
        tobj = np.zeros(p.shape[:4])
        if len(b):
            ps = p[b, a, gj, gi]
            xy = sigmoid(ps[:, :2]) * 2 - 0.5
            wh = (sigmoid(ps[:, 2:4]) * 2) ** 2 * anchor
            iou, _ = ciou(np.concatenate([xy, wh], axis=1), box)
            lbox += (1 - iou).mean()
            order = np.argsort(iou)
            tobj[b[order], a[order], gj[order], gi[order]] = iou[order].clip(0)
            one = np.eye(CLASSES)[cls]
            lcls += bce(ps[:, 5:], one).mean()
        lobj += bce(p[..., 4], tobj).mean() * BALANCE[level]
    return lbox * GAINS["box"], lobj * GAINS["obj"], lcls * GAINS["cls"]


def box_gradients(maps, level, step=1e-6):
    """Of the weighed box loss times the pictures, by differences; the weight of the shape's term is a constant."""
    b, a, gj, gi, box, anchor, _ = build_targets(level)

    def value(p, alpha=None):
        ps = p[b, a, gj, gi]
        xy = sigmoid(ps[:, :2]) * 2 - 0.5
        wh = (sigmoid(ps[:, 2:4]) * 2) ** 2 * anchor
        iou, alpha = ciou(np.concatenate([xy, wh], axis=1), box, alpha)
        return IMAGES * GAINS["box"] * (1 - iou).mean(), alpha

    _, alpha = value(maps[level])
    for at in range(0, len(b), 5):
        for k in range(4):
            index = (b[at], a[at], gj[at], gi[at], k)
            moved = []
            for by in (step, -step):
                p = maps[level].copy()
                p[index] += by
                moved.append(value(p, alpha)[0])
            print(f"({level}, {np.ravel_multi_index(index, maps[level].shape)}, {(moved[0] - moved[1]) / 2 / step:.6e}),")


if __name__ == "__main__":
    print([f"{x:.9f}" for x in loss(logits())], [len(build_targets(level)[0]) for level in range(3)])
    for level in range(3):
        box_gradients(logits(), level)
