"""Records timm's learning rates, as the reference's training loop reads them, into timm.json beside this file.

Run: python tests/golden/schedule/record.py   (needs timm and torch; recorded with timm 1.0.31)
"""
import json
import pathlib

import timm
import torch
from timm.scheduler import CosineLRScheduler, StepLRScheduler


def rates(make, lr, epochs):
    """The rate each epoch trains with: the loop trains first and advances the scheduler after."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(optimizer)
    found = []
    for epoch in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        scheduler.step(epoch)
    return found


def cosine(lr, epochs, min_lr, warmup_lr, warmup_epochs):
    options = dict(lr=lr, epochs=epochs, minLr=min_lr, warmupLr=warmup_lr, warmupEpochs=warmup_epochs)
    make = lambda o: CosineLRScheduler(o, t_initial=epochs, lr_min=min_lr, warmup_t=warmup_epochs, warmup_lr_init=warmup_lr)
    return dict(kind="cosine", options=options, epochs=epochs, rates=rates(make, lr, epochs))


def step(lr, epochs, decay_epochs, decay_rate, warmup_lr, warmup_epochs):
    options = dict(lr=lr, decayEpochs=decay_epochs, decayRate=decay_rate, warmupLr=warmup_lr, warmupEpochs=warmup_epochs)
    # warmup_prefix came later with another default; the reference's timm 0.3.2 behaves as False.
    make = lambda o: StepLRScheduler(
        o, decay_t=decay_epochs, decay_rate=decay_rate, warmup_t=warmup_epochs, warmup_lr_init=warmup_lr, warmup_prefix=False)
    return dict(kind="step", options=options, epochs=epochs, rates=rates(make, lr, epochs))


runs = [
    cosine(1e-3, 300, 1e-5, 1e-6, 5),
    cosine(5e-6, 30, 5e-6, 1e-6, 5),
    cosine(5e-4, 8, 1e-5, 1e-6, 0),
    step(1e-3, 70, 30, 0.1, 1e-6, 5),
]
path = pathlib.Path(__file__).with_name("timm.json")
path.write_text(json.dumps(dict(timm=timm.__version__, runs=runs)) + "\n")
