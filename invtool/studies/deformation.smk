"""Learned deformation stability: kinds of downsampling, smooth starts, tasks and random labels."""

include: "common.smk"


rule all:
    input:
        "index.html",
    default_target: True
    localrule: True


def structure(downsampling):
    """The network with this kind of downsampling."""
    head = config["network"]
    return f"{head}{',' if ':' in head else ':'}downsampling={downsampling}"


TRAINED_NETWORKS, RANDOM, SMOOTH, TASKS = [], [], [], []
for seed in SEEDS:
    for kind in config["downsampling"]:
        TRAINED_NETWORKS.append(f"{kind}-{seed}")
        TRAININGS[f"{kind}-{seed}"] = words("-n", structure(kind), config["recipe"], "--seed", seed)
    for kind in config["random_downsampling"]:
        RANDOM.append(f"random-{kind}-{seed}")
        told = words("-n", structure(kind), config["random_recipe"], "--seed", seed)
        TRAININGS[RANDOM[-1]] = f"{told} --random-labels"
        TRAINED[RANDOM[-1]] = config["random_images"]
    for sigma in (0, *config["sigmas"]):
        SMOOTH.append(f"sigma-{sigma}-{seed}")
        told = ["--epochs", 0, "--init-smooth", sigma, "--seed", seed]
        TRAININGS[SMOOTH[-1]] = words("-n", config["network"], told)
        TRAINED[SMOOTH[-1]] = 0
    for strength in config["strengths"]:
        TASKS.append(f"strength-{strength}-{seed}")
        TRAININGS[TASKS[-1]] = words("-n", config["network"], config["recipe"], "--seed", seed)
        DATA_OF[TASKS[-1]] = f"deformed:source={config['source']},strength={strength},{config['task']}"
        TRAINED[TASKS[-1]] = config["epochs"] * config["task_images"]

GROUPS = {
    "trained": TRAINED_NETWORKS,
    "initial": TRAINED_NETWORKS,
    "random": RANDOM,
    "smooth-start": SMOOTH,
    "tasks": TASKS,
}
SENSITIVITIES = ["trained", "initial", "random", "smooth-start"]
VARIATIONS = ["trained", "random", "tasks"]
RESULTS += expand("results/sensitivity/{group}.h5", group=SENSITIVITIES)
RESULTS += expand("results/variation/{group}.h5", group=VARIATIONS)
FIGURES |= {
    "stability": (
        ["results/sensitivity/initial.h5", "results/sensitivity/trained.h5"],
        "--kind deformation",
    ),
    "smooth-start": (["results/sensitivity/smooth-start.h5"], "--kind deformation"),
    "random": (["results/sensitivity/random.h5"], "--kind deformation"),
    "smoothness": (["results/variation/trained.h5"], "--kind smoothness"),
    "random-smoothness": (["results/variation/random.h5"], "--kind smoothness"),
    "tasks": (["results/variation/tasks.h5"], "--kind smoothness"),
}


rule deform:
    input:
        lambda w: expand("networks/{network}.st", network=GROUPS[w.group]),
    output:
        "results/sensitivity/{group}.h5",
    log:
        "logs/deform/{group}.txt",
    params:
        told=lambda w: "--untrained" if w.group in ("initial", "smooth-start") else "",
    resources:
        shown=lambda w: shown(2 * len(GROUPS[w.group]), 128),
    shell:
        "invtool deform {input} {params.told} -o {output} > {log} 2>&1"


rule smoothness:
    input:
        lambda w: expand("networks/{network}.st", network=GROUPS[w.group]),
    output:
        "results/variation/{group}.h5",
    log:
        "logs/smoothness/{group}.txt",
    shell:
        "invtool smoothness {input} -o {output} > {log} 2>&1"
