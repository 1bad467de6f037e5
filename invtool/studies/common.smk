"""What the workflows share: training, drawing, the page, and what each job costs.

A workflow is run by `invtool reproduce`, which writes settings.json into the folder of results. In
it, `data` and the sizes are of the scale that was asked for; --config of Snakemake changes them.
Each rule is one invtool command. Its resources are what the plan adds up: `trained`, images that
pass a network forward and backward, and `shown`, images that pass it forward.
"""

import shlex


configfile: "settings.json"


DATA = config["data"]
CATEGORIES = config["images"]["categories"]
SEEDS = range(config["seeds"])
TRAININGS = {}  # network -> words of its training, besides the data
DATA_OF = {}  # network -> data, where that is not DATA
SPEC_FILES = {}  # network -> files with the transform that it is trained with, if any
TRAINED = {}  # network -> images that it is trained on, where they are not all, in `epochs` epochs
FIGURES = {}  # figure -> (results that it is drawn from, words of plot)
RESULTS = []  # that the page's findings are read from


wildcard_constraints:
    seed=r"\d+",
    seen=r"\d+",
    network=r"[^/]+",
    transform=r"[^/]+",


def fewer(split):
    """How many images of a split are used, and the option that says so where they are not all."""
    held, wanted = config["images"][split], config[f"{split}_images"]
    return (wanted, f"--limit {wanted}") if 0 < wanted < held else (held, "")


TRAIN, FEWER_TRAIN = fewer("train")
TEST, FEWER_TEST = fewer("test")


def words(*told):
    """Words of a command line, as a shell reads them."""
    flat = [word for part in told for word in (part if isinstance(part, list) else [part])]
    return shlex.join(map(str, flat))


def shown(passes, limit=None):
    """Images of the test, at most `limit` of them, each passing a network so many times."""
    return round(passes * min(TEST, limit or TEST))


def network(told):
    """How a command line names a network of the settings: a file, or a reference with its options."""
    return words(told.get("model") or f"networks/{told['name']}.st", told.get("options", []))


def network_file(told):
    """The file that this needs, if any."""
    return [] if "model" in told else [f"networks/{told['name']}.st"]


def spec(transform):
    """A transform for a shell: as it stands, or as calibrate has found it."""
    calibrated = spec_file(transform)
    return f'"$(cat {calibrated[0]})"' if calibrated else words(transform)


def spec_file(transform):
    """The file that this needs, if any."""
    return [f"transforms/{transform}.txt"] if transform in config.get("calibrate", []) else []


rule page:
    input:
        results=lambda _: RESULTS,
        figures=lambda _: [f"figures/{figure}.png" for figure in FIGURES],
    output:
        "index.html",
    log:
        "logs/page.txt",
    params:
        study=config["study"],
    localrule: True
    shell:
        "invtool findings {params.study} {input.results:q} {input.figures:q} -o {output} > {log} 2>&1"


rule train:
    input:
        lambda w: SPEC_FILES.get(w.network, []),
    output:
        "networks/{network}.st",
    log:
        "logs/train/{network}.txt",
    params:
        data=lambda w: words(DATA_OF.get(w.network, DATA)),
        told=lambda w: TRAININGS[w.network],
    resources:
        trained=lambda w: TRAINED.get(w.network, config["epochs"] * TRAIN),
    shell:
        "invtool train -d {params.data} {FEWER_TRAIN} {params.told} --continue -o {output:q} > {log:q} 2>&1"


rule figure:
    input:
        lambda w: FIGURES[w.figure][0],
    output:
        "figures/{figure}.png",
    log:
        "logs/figure/{figure}.txt",
    params:
        told=lambda w: FIGURES[w.figure][1],
    localrule: True
    shell:
        "invtool plot {input:q} {params.told} -o {output:q} > {log:q} 2>&1"
