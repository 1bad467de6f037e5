"""Small image transformations: networks, their cures, and images that move by one pixel."""

include: "common.smk"


rule all:
    input:
        "index.html",
    default_target: True
    localrule: True


NETWORKS = {told["name"]: told for told in config["networks"]}
LIMIT, POSITIONS = config["limit"], config["positions"]
STILL = f"{DATA},size={config['size']}" if DATA.startswith("folder:") and "size" in config else DATA
MOVES = {"embed": config["embed"], "scale": config["scale_moves"], "crop": config["crop"]}
FIRST = next(iter(NETWORKS))
for name, told in NETWORKS.items():
    if "train" in told:
        TRAININGS[name] = words(told["train"], config["recipe"])

JAGGED = {move: expand("results/{move}/{network}.h5", move=move, network=NETWORKS) for move in MOVES}
SHIFTABLE = expand("results/shiftable/{network}.h5", network=NETWORKS)
EMBEDDED = expand("results/still/{network}.h5", network=NETWORKS)
BIAS = ["results/bias.h5"] if config["boxes"] else []
RESULTS += [*(file for files in JAGGED.values() for file in files), *SHIFTABLE, *EMBEDDED, *BIAS]
FIGURES |= {
    "map": ([f"results/embed/{FIRST}.h5"], "--kind map"),
    "jaggedness": (JAGGED["embed"], "--kind jaggedness"),
    "scale": (JAGGED["scale"], "--kind jaggedness"),
    "crop": (JAGGED["crop"], "--kind jaggedness"),
    "sums": ([f"results/shiftable/{FIRST}.h5"], "--kind sums"),
    "nonshiftability": (SHIFTABLE, "--kind depth"),
    "embedded": (EMBEDDED, "--kind embedded"),
}
if BIAS:
    FIGURES["bias"] = (BIAS, "--kind bias")


rule jagged:
    input:
        lambda w: network_file(NETWORKS[w.network]),
    output:
        "results/{move}/{network}.h5",
    wildcard_constraints:
        move="embed|scale|crop",
    log:
        "logs/{move}/{network}.txt",
    params:
        network=lambda w: network(NETWORKS[w.network]),
        told=lambda w: words(MOVES[w.move]),
        data=words(DATA),
        limit=LIMIT,
    resources:
        shown=shown(POSITIONS, LIMIT),
    shell:
        "invtool jagged {params.network} -d {params.data} {params.told} --limit {params.limit}"
        " -o {output:q} > {log:q} 2>&1"


rule shiftable:
    input:
        lambda w: network_file(NETWORKS[w.network]),
    output:
        "results/shiftable/{network}.h5",
    log:
        "logs/shiftable/{network}.txt",
    params:
        network=lambda w: network(NETWORKS[w.network]),
        told=words(config["shiftable"]),
        data=words(DATA),
    resources:
        shown=shown(POSITIONS, 20),
    shell:
        "invtool shiftable {params.network} -d {params.data} {params.told} -o {output:q} > {log:q} 2>&1"


rule still:
    input:
        lambda w: network_file(NETWORKS[w.network]),
    output:
        "results/still/{network}.h5",
    log:
        "logs/still/{network}.txt",
    params:
        network=lambda w: network(NETWORKS[w.network]),
        data=words(STILL),
        sizes=config["sizes"],
        crops=config["crops"],
    resources:
        shown=shown(70),
    shell:
        "invtool evaluate {params.network} -d {params.data} {FEWER_TEST} --embed {params.sizes}"
        " --tta {params.crops} -o {output:q} > {log:q} 2>&1"


rule bias:
    input:
        config["boxes"] or [],
    output:
        "results/bias.h5",
    log:
        "logs/bias.txt",
    shell:
        "invtool bias {input:q} -o {output} > {log} 2>&1"
