"""Robustness across categories: networks that see some categories transformed, and their units."""

include: "common.smk"


rule all:
    input:
        "index.html",
    default_target: True
    localrule: True


TRANSFORMS = config["transforms"]
COUNTS = sorted({max(1, round(float(share) * CATEGORIES)) for share in config["seen"]})
FEW, MOST = COUNTS[0], COUNTS[-1]
LIMIT = max(config["below"], 2 / CATEGORIES)  # of few categories, chance alone is above the paper's
TAU = f"results/ablation/{TRANSFORMS[0]}.h5"


def base(seed):
    """The network that saw no category transformed."""
    return f"none-0-{seed}"


def network_of(w):
    return f"networks/{base(w.seed) if w.seen == '0' else f'{w.transform}-{w.seen}-{w.seed}'}.st"


for seed in SEEDS:
    common = words("-n", config["network"], config["recipe"], "--seed", seed)
    TRAININGS[base(seed)] = common
    for transform in TRANSFORMS:
        for seen in COUNTS:
            TRAININGS[f"{transform}-{seen}-{seed}"] = f"{common} --seen {seen} -t {spec(transform)}"
            SPEC_FILES[f"{transform}-{seen}-{seed}"] = spec_file(transform)


INVARIANCE = {
    transform: expand(
        "results/invariance/{transform}-{seen}-{seed}.h5",
        transform=transform,
        seen=[0, *COUNTS],
        seed=SEEDS,
    )
    for transform in TRANSFORMS
}
EVERY = [file for files in INVARIANCE.values() for file in files]
MOVED = [file for file in EVERY if "-0-" not in file]
ABLATIONS = expand("results/ablation/{transform}.h5", transform=TRANSFORMS)
LAYERS = expand("results/layers/{transform}.h5", transform=TRANSFORMS)
QUADRANTS = expand("results/quadrants/{transform}.h5", transform=TRANSFORMS)
CALIBRATIONS = expand("results/calibration/{transform}.h5", transform=config["calibrate"])
RESULTS += [*EVERY, "results/matrix.h5", *ABLATIONS, *QUADRANTS, *CALIBRATIONS]
FIGURES |= {
    "matrix": (["results/matrix.h5"], "--kind matrix"),
    "accuracy": (MOVED, "--kind accuracy"),
    "active": ([f"results/invariance/{t}-{MOST}-0.h5" for t in TRANSFORMS], "--kind active --group all"),
    "seen": (EVERY, "--kind seen"),
    "trend": (EVERY, "--kind trend"),
    "correlation": (MOVED, "--kind correlation"),
    "quadrants": (QUADRANTS, "--kind quadrants"),
    "ablation": (ABLATIONS, "--kind ablation"),
    "depth": (LAYERS, "--kind depth"),
}
if CALIBRATIONS:
    FIGURES["calibration"] = (CALIBRATIONS, "--kind calibration")


rule calibrate:
    input:
        f"networks/{base(0)}.st",
    output:
        spec="transforms/{transform}.txt",
        steps="results/calibration/{transform}.h5",
    log:
        "logs/calibrate/{transform}.txt",
    params:
        below=LIMIT,
    resources:
        shown=shown(10),
    shell:
        "invtool calibrate {input} {FEWER_TEST} -t {wildcards.transform} --below {params.below}"
        " --spec -o {output.steps} > {output.spec}.part 2> {log}"
        " && mv {output.spec}.part {output.spec}"


rule ablate:
    input:
        f"networks/{{transform}}-{MOST}-0.st",
    output:
        "results/ablation/{transform}.h5",
    log:
        "logs/ablate/{transform}.txt",
    resources:
        shown=shown(2),
    shell:
        "invtool ablate {input} {FEWER_TEST} --tau-grid 0:0.95:0.05 -o {output} > {log} 2>&1"


rule invariance:
    input:
        spec=lambda w: spec_file(w.transform),
        tau=TAU,
        network=network_of,
    output:
        "results/invariance/{transform}-{seen}-{seed}.h5",
    log:
        "logs/invariance/{transform}-{seen}-{seed}.txt",
    params:
        spec=lambda w: spec(w.transform),
    resources:
        shown=shown(4),
    shell:
        "invtool invariance {input.network} {FEWER_TEST} -t {params.spec} -l penultimate"
        " --tau {input.tau} -o {output} > {log} 2>&1"


rule layers:
    input:
        network=f"networks/{{transform}}-{MOST}-0.st",
        tau=TAU,
    output:
        "results/layers/{transform}.h5",
    log:
        "logs/layers/{transform}.txt",
    resources:
        shown=shown(4),
    shell:
        "invtool invariance {input.network} {FEWER_TEST} --tau {input.tau} --resamples 0"
        " -o {output} > {log} 2>&1"


rule quadrants:
    input:
        f"networks/{{transform}}-{FEW}-0.st",
    output:
        "results/quadrants/{transform}.h5",
    log:
        "logs/quadrants/{transform}.txt",
    resources:
        shown=shown(2),
    shell:
        "invtool evaluate {input} {FEWER_TEST} -o {output} > {log} 2>&1"


rule matrix:
    input:
        networks=[
            f"networks/{name}.st" for name in (base(0), *(f"{t}-{MOST}-0" for t in TRANSFORMS))
        ],
        specs=[file for transform in TRANSFORMS for file in spec_file(transform)],
    output:
        "results/matrix.h5",
    log:
        "logs/matrix.txt",
    params:
        specs=" ".join(f"-t {spec(transform)}" for transform in TRANSFORMS),
    resources:
        shown=shown((len(TRANSFORMS) + 1) ** 2),
    shell:
        "invtool evaluate {input.networks} {FEWER_TEST} {params.specs} -o {output} > {log} 2>&1"
