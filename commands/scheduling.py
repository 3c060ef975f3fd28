"""The command line's part for schedules: apply, schedules, trigger. Parses and calls; registered in :mod:`cli`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Run = Callable[[Callable[[], Coroutine[Any, Any, int]]], None]

Json = Annotated[bool, typer.Option("--json", help="Machine-readable JSON on stdout.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The campaign's name.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept with the schedule.")]
SCHEDULES = "Schedules"


def register(app: typer.Typer, run: Run) -> None:
    """Add the commands about schedules to the command line."""
    schedules = typer.Typer(help="Show every schedule: next runs, last run and outcome, what was skipped or missed.")
    app.add_typer(schedules, name="schedules", rich_help_panel=SCHEDULES)

    @app.command(rich_help_panel=SCHEDULES)
    def apply(
        paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE", help="Campaign files, or their folder.")],
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        prune: Annotated[bool, typer.Option("--prune", help="Delete schedules that no file in DIR has.")] = False,
        check: Annotated[
            bool, typer.Option("--check", help="Change nothing; exit 2 if what runs differs from what is written.")
        ] = False,
        group: Annotated[
            str | None,
            typer.Option(
                "--group", metavar="NAME", help="Whose schedules these are, where several folders are applied."
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Make the schedules equal to the files: shows the difference, asks, applies. Running campaigns go on."""
        from commands import schedules as doing

        run(lambda: doing.apply_files(paths, yes=yes, prune=prune, check=check, group=group, as_machine=as_json))

    @app.command(rich_help_panel=SCHEDULES)
    def trigger(name: Name, as_json: Json = False) -> None:
        """Run a scheduled campaign once, now."""
        from commands import schedules as doing

        run(lambda: doing.trigger_now(name, as_machine=as_json))

    @schedules.callback(invoke_without_command=True)
    def list_(context: typer.Context, as_json: Json = False) -> None:
        if context.invoked_subcommand is None:
            from commands import schedules as doing

            run(lambda: doing.list_schedules(as_machine=as_json))

    @schedules.command()
    def pause(name: Name, why: Why = "", as_json: Json = False) -> None:
        """Start no new run until `schedules resume`; a run that is going on goes on."""
        from commands import schedules as doing

        run(lambda: doing.pause_schedule(name, why, paused=True, as_machine=as_json))

    @schedules.command()
    def resume(name: Name, why: Why = "", as_json: Json = False) -> None:
        """Go on after `schedules pause`; slots that passed meanwhile are not made up."""
        from commands import schedules as doing

        run(lambda: doing.pause_schedule(name, why, paused=False, as_machine=as_json))
