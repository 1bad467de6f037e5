"""The root command: a table of names, each implemented by the module `invtool.cli.<name>`.

`invtool --help` reads only this table. A command's module is imported when that command runs, and
PyTorch only once its arguments have been accepted.
"""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from invtool import __version__, ranks
from invtool.errors import InvtoolError, UsageError
from invtool.files import interrupts, messages

COMMANDS = {
    "Make": {
        "data": "Write any data set as an images file.",
        "train": "Train networks that see some categories transformed.",
        "transform": "Transform images.",
        "activations": "Record a network's activations on clean and transformed images.",
    },
    "Measure": {
        "evaluate": "Measure accuracy within and across categories, and what is taken for what.",
        "ablate": "Find the activity from which on a network's units matter.",
        "calibrate": "Find the strength of a transform at which accuracy falls under a limit.",
        "sweep": "Measure how far a transform may go before answers change.",
        "invariance": "Measure how invariant each neuron is to a transform.",
        "jagged": "Measure how often the answer changes as an image moves by one pixel.",
        "shiftable": "Measure how often the sum of a feature map changes as the image moves.",
        "deform": "Measure how far smooth deformations move the response of every layer.",
        "smoothness": "Measure how smooth each layer's filters are, beside their initial value.",
        "itn": "Learn which affine transformations a network is invariant to.",
        "bias": "Test whether positions and sizes of objects are uniform in photographs.",
    },
    "Look": {
        "plot": "Draw results as a figure, or as text in a terminal.",
        "inspect": "Print what a file holds and how it was made.",
        "verify": "Check that files are whole.",
    },
    "Study": {
        "demo": "Run the whole story on embedded images in a few minutes.",
        "reproduce": "Reproduce a paper: its networks, measures, figures and findings.",
        "findings": "Set what results say beside what their paper says.",
    },
}
# Those that torchrun may start as several ranks.
TOGETHER = {"train", "activations", "evaluate", "ablate", "sweep", "invariance", "jagged"}
TOGETHER |= {"shiftable", "deform"}
# Typer's exception for a wrong command line; it lives in click or in Typer's own copy, by version.
WrongLine: Any = typer.BadParameter.__base__
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(TyperCommand):
    """A command whose help ends with examples, as they are pasted."""

    examples = ""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples.splitlines()))


class LazyCommand(TyperCommand):
    """A name and one line of help, standing in for `invtool.cli.<name>.main` until it is needed."""

    def load(self) -> TyperCommand:
        module = import_module(f"invtool.cli.{self.name}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
        app.command(self.name, cls=Command)(module.main)
        command = cast(Command, typer.main.get_command(app))
        command.examples = module.EXAMPLES
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        messages.command = str(self.name)
        if ranks.size > 1 and self.name not in TOGETHER:
            raise UsageError(f"{self.name} runs in one process; start it without torchrun")
        return self.load().make_context(info_name, args, parent=parent, **extra)


class Root(TyperGroup):
    """The command table."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for table in COMMANDS.values():
            for name, text in table.items():
                self.add_command(LazyCommand(name=name, help=text))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for panel, table in COMMANDS.items():
            with formatter.section(panel):
                formatter.write_dl([(f"{name:<12}", text) for name, text in table.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.commands:
            from difflib import get_close_matches

            near = get_close_matches(name, self.commands, 1)
            hint = f"did you mean {near[0]}?" if near else "see invtool --help"
            raise UsageError(f"no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Root,
    add_completion=False,  # completions/ holds static scripts; they never start Python
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"invtool {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", is_eager=True, callback=_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Measure what a convolutional network is invariant to, where in it, and why.

    Commands read a FILE or standard input and write -o FILE or standard output, so they chain:

    \b
      invtool train --seen 50 --transform blur
      invtool activations model.st | invtool invariance
    """


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code: the only place where failures become both.

    An expected failure is one line on stderr; a bug keeps its traceback.
    """
    interrupts.install()
    try:
        with ranks.together(_verdict):
            code = _invoke(args or ["--help"])
            if sys.stdout is not None:
                sys.stdout.flush()  # a full disk or closed pipe shows here, not in the interpreter's exit
        return code if args else 2
    except (WrongLine, KeyboardInterrupt, InvtoolError, OSError, MemoryError) as error:
        verdict = _verdict(error)
        if verdict is None:
            raise
        code, sentence = verdict
        if sentence:
            messages.say(sentence)
        if not isinstance(error, WrongLine | KeyboardInterrupt):
            _forget_output()
        return code


def _invoke(args: Sequence[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("invtool", list(args)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


def _verdict(error: BaseException) -> tuple[int, str] | None:
    """Exit code of a failure, and what is said of it; None for a bug, which keeps its traceback."""
    if isinstance(error, SystemExit):  # a signal
        return int(error.code or 0), ""
    if isinstance(error, WrongLine):
        text, name = error.format_message().rstrip("."), f"invtool {messages.command}".rstrip()
        return 2, f"{text[:1].lower()}{text[1:]}; see {name} --help"
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE, ""  # as if the signal had killed us
    if os.environ.get("INVTOOL_DEBUG") == "1":
        return None
    if isinstance(error, InvtoolError | OSError | MemoryError):
        return getattr(error, "exit_code", 1), _sentence(error)
    return None


def _forget_output() -> None:
    """Let the interpreter's last flush succeed where the output itself is broken."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:  # a full disk, a forbidden folder
        return f"{error.filename or 'output'}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory; lower --batch-size or --limit"
    return str(error)


def load_all() -> Sequence[Command]:
    """Every command, imported: for the tests and for the generator of man pages and completions."""
    return [
        cast(Command, LazyCommand(name=name).load())
        for table in COMMANDS.values()
        for name in table
    ]
