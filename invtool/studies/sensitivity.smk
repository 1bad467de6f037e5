"""How far networks may be pushed: sweeps of every transformation, and the Invariant Transformer Net."""

include: "common.smk"


rule all:
    input:
        "index.html",
    default_target: True
    localrule: True


NETWORKS = {told["name"]: told for told in config["networks"]}
FIRST = next(iter(NETWORKS))
LIMIT = config["limit"]
CURVES = {"noise": "white-noise", "rotation": "rotate", "zoom": "zoom"}  # figure -> transform
ITN = ["losses", "classification", "corners", "reach"]  # figures of the report
for name, told in NETWORKS.items():
    if "train" in told:
        TRAININGS[name] = words(told["train"], config["recipe"])

SWEEPS = expand("results/sweep/{network}.h5", network=NETWORKS)
CLASSES = expand("results/curves/{figure}.h5", figure=CURVES)
RESULTS += [*SWEEPS, *CLASSES, "results/translation.h5", "results/itn.h5"]
FIGURES |= {
    "overview": (SWEEPS, "--kind overview"),
    **{figure: ([f"results/curves/{figure}.h5"], "--kind curves") for figure in CURVES},
    "translation": (["results/translation.h5"], "--kind heat"),
    **{kind: (["results/itn.h5"], f"--kind {kind}") for kind in ITN},
}


rule sweep:
    input:
        lambda w: network_file(NETWORKS[w.network]),
    output:
        "results/sweep/{network}.h5",
    log:
        "logs/sweep/{network}.txt",
    params:
        network=lambda w: network(NETWORKS[w.network]),
        data=words(DATA),
        limit=LIMIT,
    resources:
        shown=shown(200, LIMIT),
    shell:
        "invtool sweep --all {params.network} -d {params.data} --limit {params.limit}"
        " -o {output:q} > {log:q} 2>&1"


rule curves:
    input:
        network_file(NETWORKS[FIRST]),
    output:
        "results/curves/{figure}.h5",
    log:
        "logs/curves/{figure}.txt",
    params:
        network=network(NETWORKS[FIRST]),
        transform=lambda w: CURVES[w.figure],
        data=words(DATA),
        limit=LIMIT,
    resources:
        shown=shown(20, LIMIT),
    shell:
        "invtool sweep {params.network} -d {params.data} -t {params.transform} --limit {params.limit}"
        " -o {output} > {log} 2>&1"


rule translation:
    input:
        network_file(NETWORKS[FIRST]),
    output:
        "results/translation.h5",
    log:
        "logs/translation.txt",
    params:
        network=network(NETWORKS[FIRST]),
        grid=config["grid"],
        data=words(DATA),
        limit=LIMIT,
    resources:
        shown=shown(int(config["grid"].split(":")[2]) ** 2, LIMIT),
    shell:
        "invtool sweep {params.network} -d {params.data} -t translate-x:share={params.grid}"
        " --with translate-y:share={params.grid} --limit {params.limit} -o {output} > {log} 2>&1"


rule itn:
    input:
        network_file(NETWORKS[FIRST]),
    output:
        controllers="results/itn.st",
        report="results/itn.h5",
    log:
        "logs/itn.txt",
    params:
        network=network(NETWORKS[FIRST]),
        told=words(config["itn"]),
        data=words(DATA),
    resources:
        trained=32 * config["itn_steps"],
        shown=shown(200),
    shell:
        "invtool itn {params.network} -d {params.data} {FEWER_TEST} {params.told} -o {output.controllers}"
        " > {log} 2>&1"
