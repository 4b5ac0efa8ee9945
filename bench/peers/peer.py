"""How a peer in Python talks with run.ts: a line that says it is ready, then for each line of standard input, a number of
seconds, the rate that it had in these seconds (the median step)."""
import json
import resource
import statistics
import sys
import time


def answer(step, batch_size, version, check=lambda: None, warm_up=3):
    for _ in range(warm_up):
        step()
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        durations, end = [], time.perf_counter() + float(line)
        while len(durations) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            durations.append(time.perf_counter() - start)
        check()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({
            "imagesPerSecond": batch_size / statistics.median(durations), "steps": len(durations), "peakRssMiB": peak,
        }), flush=True)
