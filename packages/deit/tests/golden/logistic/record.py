"""scikit-learn's logistic regression on small random features, for tests/analysis/probe.test.ts.

    pip install scikit-learn && python tests/golden/logistic/record.py
"""
import json
from pathlib import Path

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression

rng = numpy.random.default_rng(5)
n, width, classes = 60, 6, 4
centres = rng.normal(size=(classes, width))
labels = numpy.arange(n) % classes
data = (centres[labels] + 1.5 * rng.normal(size=(n, width))).round(4)
cases = []
for l2 in (1.0, 0.1, 0.001):
    model = LogisticRegression(C=1 / (n * l2), tol=1e-10, max_iter=10_000).fit(data, labels)
    logits = data @ model.coef_.T + model.intercept_
    cases.append({"l2": l2, "logits": logits[:8].tolist(), "acc1": 100 * float(model.score(data, labels))})
out = {
    "made by": f"scikit-learn {sklearn.__version__}",
    "width": width,
    "classes": classes,
    "data": data.ravel().tolist(),
    "labels": labels.tolist(),
    "cases": cases,
}
Path(__file__).with_name("logistic.json").write_text(json.dumps(out))
