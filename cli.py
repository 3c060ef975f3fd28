"""The command line, ``campaigner …``: parses and calls; what the commands do stands in :mod:`commands`.

Each command imports what it needs when it is called, so that `--help` and `validate` do not wait for Temporal's SDK.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from commands import processes, scheduling, steering
from commands.console import (
    FAILED,
    INTERRUPTED,
    INVALID,
    CommandError,
    Kind,
    emit,
    fail,
    show,
    speak_json,
    tell_failure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


class _Commands(TyperGroup):
    """All commands; wrong usage is told to programs too, before Typer tells it to people."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        with _usage_told():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:
        with _usage_told():
            return super().invoke(ctx)

    def get_params(self, ctx: Any) -> Any:
        return _without_needless_types(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        commands = [found] if found is not None else []
        for command in commands:
            _without_needless_types(command.get_params(ctx))
            commands += getattr(command, "commands", {}).values()
        return found


def _without_needless_types(params: list[Any]) -> list[Any]:
    """Keep ``--help`` from showing ``--debug <bool>``, where no value is taken, and Python's ``FILE <list[Path]>``."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
        elif isinstance(param, TyperArgument):
            setattr(param, "display_type", lambda ctx: "")  # noqa: ARG005, B010 - Typer has no setting for it
    return params


@contextmanager
def _usage_told() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Typer does not export the class of all its usage errors; this is what they have in common.
        words = getattr(error, "format_message", None)
        if words is not None and getattr(error, "exit_code", None) == INVALID:
            tell_failure(f"{words()} `campaigner COMMAND --help` shows what is right.", Kind.USAGE)
        raise


app = typer.Typer(
    name="campaigner",
    cls=_Commands,
    help="Runs scheduled ordering campaigns against a panel, on Temporal, each order exactly once.",
    epilog="Accounts stand in campaigner.yaml (or $CAMPAIGNER_CONFIG); Temporal is found by TEMPORAL_ADDRESS.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FILES, RUNNING, PANEL = "Campaign files", "Campaigns", "The panel"

Json = Annotated[bool, typer.Option("--json", help="Machine-readable JSON on stdout.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A campaign file.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A campaign's name, or its workflow id.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept with the campaign.")]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Which panel account.")]


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        _debugging.append(True)


_debugging: list[bool] = []


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    from commands.running import run

    raise typer.Exit(run(work, debug=bool(_debugging)))


@app.command(rich_help_panel=FILES)
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Campaign files.")], as_json: Json = False
) -> None:
    """Check campaign files; every error with its line and column. Asks nobody."""
    from commands import files as doing

    raise typer.Exit(doing.validate(files, as_machine=as_json))


@app.command(rich_help_panel=FILES)
def plan(
    file: File,
    everything: Annotated[bool, typer.Option("--all", help="Show every run of a long drip.")] = False,
    keep: Annotated[
        Path | None, typer.Option("--out", metavar="PLAN", help="Keep it in a file that `start` takes as it is.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what would be ordered, when, and what it would cost now. Orders nothing."""
    from commands import planning

    _run(lambda: planning.plan(file, everything=everything, keep=keep, as_machine=as_json))


@app.command(rich_help_panel=FILES)
def rehearse(
    file: File,
    outlook: Annotated[
        str,
        typer.Option("--outlook", help="all-complete, some-partial, some-stall, some-fail or mixed."),
    ] = "all-complete",
    share: Annotated[str, typer.Option("--share", help="How many order runs go wrong.")] = "20%",
    takes: Annotated[
        list[str] | None,
        typer.Option("--takes", metavar="6h", help="How long an order takes; views=2h for one of them."),
    ] = None,
    start_at: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="When it starts, such as 2026-12-04T18:00.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Chooses which order runs go wrong.")] = 0,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Draw it: calendar, spending, every order's end.")
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option("--catalog", metavar="FILE", help="Ask nobody: a catalog saved with `services --json`."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play the whole campaign against an imagined panel, in a moment. Orders nothing."""
    from commands import rehearsing

    wishes = rehearsing.Wishes(outlook, share, tuple(takes or ()), start_at, seed, html, catalog)
    _run(lambda: rehearsing.rehearse(file, wishes, as_machine=as_json))


@app.command(rich_help_panel=FILES)
def schema() -> None:
    """Print the JSON Schema of a campaign file, for editors."""
    from commands import files as doing

    raise typer.Exit(doing.schema())


@app.command(rich_help_panel=RUNNING)
def start(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A campaign file, or a plan kept by `plan --out`.")],
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to the end; exit 0 if it completes.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Buy it all once more, if an earlier run has ended.")] = False,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="The campaign file that a plan must still agree with."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a campaign, unless anything stands against it."""
    from commands import starting

    _run(lambda: starting.start(file, against, again=again, wait=wait, as_machine=as_json))


@app.command(rich_help_panel=RUNNING)
def status(
    given: Id,
    everything: Annotated[bool, typer.Option("--all", help="Show every order run of a large campaign.")] = False,
    as_json: Json = False,
) -> None:
    """Show how a campaign stands: its money, and each order."""
    from commands import campaigns

    _run(lambda: campaigns.status(given, everything=everything, as_machine=as_json))


@app.command(rich_help_panel=RUNNING)
def watch(given: Id, as_json: Json = False) -> None:
    """Follow a campaign until it ends. Ctrl-C stops the watching only."""
    from commands import campaigns

    _run(lambda: campaigns.watch(given, as_machine=as_json))


@app.command("list", rich_help_panel=RUNNING)
def list_(
    state: Annotated[str | None, typer.Option("--state", help="Only those in this state, such as running.")] = None,
    account: Account = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List campaigns, the newest first."""
    from commands import campaigns

    _run(lambda: campaigns.list_campaigns(state, account, limit, as_machine=as_json))


@app.command(rich_help_panel=RUNNING)
def pause(given: Id, why: Why = "", as_json: Json = False) -> None:
    """Place nothing new until `resume`; open orders go on."""
    from commands import campaigns

    _run(lambda: campaigns.decide(given, "pause", why, as_machine=as_json))


@app.command(rich_help_panel=RUNNING)
def resume(given: Id, why: Why = "", as_json: Json = False) -> None:
    """Go on after `pause`."""
    from commands import campaigns

    _run(lambda: campaigns.decide(given, "resume", why, as_machine=as_json))


@app.command(rich_help_panel=RUNNING)
def cancel(
    given: Id,
    order: Annotated[
        str | None, typer.Option("--order", metavar="ORDER[/RUN]", help="Only this order, or one run of it.")
    ] = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Place nothing more, ask open orders back, and end with the truth."""
    from commands import campaigns

    more = {"order": order} if order else None
    _run(lambda: campaigns.decide(given, "cancel", why, as_machine=as_json, more=more))


@app.command(rich_help_panel=RUNNING)
def resolve(
    given: Id,
    run: Annotated[str, typer.Argument(metavar="ORDER/RUN", help="Which order run, such as views/3.")],
    placed: Annotated[str | None, typer.Option("--placed", metavar="ID", help="It is at the panel, as this.")] = None,
    not_placed: Annotated[bool, typer.Option("--not-placed", help="It certainly is not at the panel.")] = False,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Settle an unknown order, after a look at the panel."""
    if (placed is None) is not not_placed:
        raise typer.BadParameter("say either --placed ID or --not-placed")
    from commands import resolving

    _run(lambda: resolving.resolve(given, run, placed, why, as_machine=as_json))


steering.register(app, _run)
scheduling.register(app, _run)


@app.command(rich_help_panel=PANEL)
def services(
    search: Annotated[
        str | None, typer.Option("--search", metavar="WORDS", help="Only those with these words.")
    ] = None,
    account: Account = None,
    as_json: Json = False,
) -> None:
    """Show the panel's catalog: ids, rates, limits."""
    from commands import panels

    _run(lambda: panels.services(account, search, as_machine=as_json))


@app.command(rich_help_panel=PANEL)
def balance(account: Account = None, as_json: Json = False) -> None:
    """Show what is left on each account."""
    from commands import panels

    _run(lambda: panels.balance(account, as_machine=as_json))


@app.command(rich_help_panel=PANEL)
def accounts(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Accounts of the configuration; all when none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show each account: halted or not, its limit of the day, what runs on it, whether a worker is there."""
    from commands import accounts as doing

    _run(lambda: doing.accounts(names or [], as_machine=as_json))


@app.command(rich_help_panel=PANEL)
def webhooks(
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="Which account; all when none.")] = None,
    add: Annotated[
        str | None, typer.Option("--add", metavar="URL", help="Register this endpoint; its secret is shown once.")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option("--event", metavar="EVENT", help="With --add: only this one; all when none.")
    ] = None,
    remove: Annotated[str | None, typer.Option("--remove", metavar="ID", help="Remove this endpoint.")] = None,
    as_json: Json = False,
) -> None:
    """Show where the panel delivers webhooks to; register or remove an endpoint. See `receiver`."""
    if add is not None and remove is not None:
        raise typer.BadParameter("say either --add URL or --remove ID")
    if event and add is None:
        raise typer.BadParameter("it goes with --add", param_hint="--event")
    from commands import webhooks as doing

    _run(lambda: doing.webhooks(doing.Wish(account, add, tuple(event or ()), remove), as_machine=as_json))


processes.register(app, _run)


@app.command(rich_help_panel=processes.PROCESSES)
def version(as_json: Json = False) -> None:
    """Print the version."""
    number = version_of("campaigner")
    if as_json:
        emit({"version": number})
    else:
        show(number)


def main() -> int:
    """Run the command line; 0 done, 1 failed, 2 wrong usage or a wrong file."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    arguments = sys.argv[1:]
    if "--debug" in arguments:  # wherever it stands
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    speak_json(wanted="--json" in arguments)  # before anything is parsed: wrong usage is told as JSON too
    try:
        return _exit_code(arguments)
    except BrokenPipeError:  # `campaigner list | head`, also where a failure is told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _exit_code(arguments: list[str]) -> int:
    try:
        app(arguments)
    except CommandError as error:
        return fail(str(error), error.code, error.kind, **error.facts)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if _debugging:
            raise
        words = " ".join(str(error).split())[:300]
        told = f"this should not have happened ({type(error).__name__}: {words}); --debug shows where"
        return fail(told, FAILED, Kind.UNEXPECTED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
