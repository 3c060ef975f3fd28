"""The command line's part for what keeps running: worker, dev, sandbox, receiver, codec-server, demo.

Parses and calls, as :mod:`cli` does; registered there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Run = Callable[[Callable[[], Coroutine[Any, Any, int]]], None]

Json = Annotated[bool, typer.Option("--json", help="Machine-readable JSON on stdout.")]
PROCESSES = "Processes"


def register(app: typer.Typer, run: Run) -> None:
    """Add the commands that keep running to the command line."""

    @app.command(rich_help_panel=PROCESSES)
    def worker() -> None:
        """Run a worker: the same as `python worker.py`."""
        import worker as process

        raise typer.Exit(process.main())

    @app.command(rich_help_panel=PROCESSES)
    def dev(
        port: Annotated[
            int, typer.Option("--port", min=0, max=65535, help="Temporal's port; another if taken.")
        ] = 7233,
        ui_port: Annotated[int, typer.Option("--ui-port", min=0, max=65535, help="The Web UI's port.")] = 8233,
    ) -> None:
        """Run Temporal with its Web UI and a worker here; the state is kept in .campaigner/."""
        from commands import dev as doing

        run(lambda: doing.dev(port, ui_port))

    @app.command(rich_help_panel=PROCESSES)
    def sandbox(
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Its port; another if taken.")] = 8900,
        db: Annotated[str, typer.Option("--db", metavar="FILE", help="Where its books are kept.")] = ":memory:",
        speed: Annotated[float, typer.Option("--speed", min=0, help="How many times as fast as real time.")] = 1.0,
        opening: Annotated[str, typer.Option("--balance", metavar="AMOUNT", help="The opening balance.")] = "1000.00",
        fault: Annotated[
            list[str] | None, typer.Option("--fault", metavar="FAULT", help="Arm a fault, such as add:drop_after=0.1.")
        ] = None,
        seed: Annotated[int, typer.Option("--seed", help="Makes the faults repeatable.")] = 0,
        dialect: Annotated[
            str, typer.Option("--dialect", help="notpanel, or classic for a stock v2 panel.")
        ] = "notpanel",
        local: Annotated[
            bool, typer.Option("--local-webhooks", help="Deliver webhooks to this machine too, and by plain http.")
        ] = False,
        control: Annotated[bool, typer.Option("--control", help="Serve /control/… for tests.")] = False,
        as_json: Json = False,
    ) -> None:
        """Run a panel to practise on: real HTTP, no real orders."""
        if dialect not in ("notpanel", "classic"):
            raise typer.BadParameter("notpanel or classic", param_hint="--dialect")
        from commands import dev as doing

        options = doing.SandboxOptions(port, db, speed, opening, tuple(fault or ()), seed, dialect, local, control)
        run(lambda: doing.practise(options, as_machine=as_json))

    @app.command(rich_help_panel=PROCESSES)
    def receiver(
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Its port; 0 takes a free one.")] = 8090,
        host: Annotated[str, typer.Option("--host", help="Its address.")] = "127.0.0.1",
    ) -> None:
        """Take the panel's webhooks: an order that ends is then read at once."""
        from commands import receiving as doing

        run(lambda: doing.receive(port, host))

    @app.command("codec-server", rich_help_panel=PROCESSES)
    def codec_server(
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Its port; 0 takes a free one.")] = 8081,
        host: Annotated[
            str, typer.Option("--host", help="Its address; beyond this machine it wants a token.")
        ] = "127.0.0.1",
        origin: Annotated[
            list[str] | None,
            typer.Option("--origin", metavar="URL", help="Where the Web UI is, instead of this folder's."),
        ] = None,
    ) -> None:
        """Let the Web UI read encrypted campaigns: decodes with the keys of CAMPAIGNER_CODEC_KEYS."""
        from commands import codecs as doing

        run(lambda: doing.codec_server(port, host, tuple(origin or ())))

    @app.command(rich_help_panel=PROCESSES)
    def demo(
        stay: Annotated[bool, typer.Option("--stay", help="Keep the Web UI and the ledger up until Ctrl-C.")] = False,
        as_json: Json = False,
    ) -> None:
        """Run a whole campaign in under a minute, against a sandbox."""
        from commands import demo as doing

        run(lambda: doing.demo(stay=stay, as_machine=as_json))
