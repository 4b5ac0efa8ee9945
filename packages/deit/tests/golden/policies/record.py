"""Records timm's policies: what a magnitude means for each operation, how policy strings are read, AutoAugment's tables.

    python tests/golden/policies/record.py      needs timm
"""
import json, math, pathlib, random
import timm
from timm.data import auto_augment as aa
from timm.data.random_erasing import RandomErasing

HERE = pathlib.Path(__file__).parent
MAGNITUDES = [0, 0.4, 2.5, 3.3, 5, 7.4, 7.5, 7.6, 9, 9.99, 10]
WIDTH, HEIGHT = 40, 30


def levels():
    """Arguments by operation and magnitude, once with each sign."""
    found = {}
    for name, function in aa.LEVEL_TO_ARG.items():
        if name in ("TranslateX", "TranslateY"):  # absolute: in no policy
            continue
        found[name] = []
        for magnitude in MAGNITUDES:
            row = []
            for sign in (1, -1):
                aa._randomly_negate = lambda v, s=sign: s * v
                arguments = function(magnitude, {}) if function else ()
                row.append(list(arguments) if isinstance(arguments, tuple) else [arguments])
            found[name].append(row)
    return found


def op(o):
    return [o.name, o.prob, o.magnitude, None if math.isinf(o.magnitude_std) else o.magnitude_std, o.magnitude_max]


def configs():
    rand = ["rand-m9-mstd0.5-inc1", "rand", "rand-m7-n3", "rand-n1-p0.8-mstd101", "rand-m15-mmax20-inc0", "rand-m9-t3a", "rand-mstd1-tweights", "rand-inc1-m6-t3aw"]
    auto = ["original", "originalr", "v0", "v0r", "3a", "original-mstd0.5"]
    out = {"rand": {}, "auto": {}}
    for policy in rand:
        r = aa.rand_augment_transform(policy, {})
        out["rand"][policy] = {"ops": [op(o) for o in r.ops], "layers": r.num_layers, "weights": None if r.choice_weights is None else list(r.choice_weights)}
    for policy in auto:
        out["auto"][policy] = [[op(o) for o in sub] for sub in aa.auto_augment_transform(policy, {}).policy]
    return out


def write(name, content):
    (HERE / name).write_text(json.dumps({"timm": timm.__version__, **content}) + "\n")


write("levels.json", {"magnitudes": MAGNITUDES, "levels": levels()})
write("policies.json", configs())
