"""The command line's part for steering: approve, skip, retry, raise-budget, reschedule; halt and release; audit.

Parses and calls, as :mod:`cli` does; registered there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Run = Callable[[Callable[[], Coroutine[Any, Any, int]]], None]

Json = Annotated[bool, typer.Option("--json", help="Machine-readable JSON on stdout.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A campaign's name, or its workflow id.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept with the campaign.")]
Target = Annotated[str, typer.Argument(metavar="ORDER[/RUN]", help="An order, such as views, or one run, as views/3.")]
OneRun = Annotated[str, typer.Argument(metavar="ORDER/RUN", help="One run of an order, such as views/3.")]
AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="A panel account of the configuration.")]
STEERING = "Steering"


def register(app: typer.Typer, run: Run) -> None:
    """Add the steering commands to the command line."""

    def decide(given: str, update: str, why: str, as_json: bool, more: dict[str, Any] | None = None) -> None:  # noqa: FBT001
        from commands import campaigns

        run(lambda: campaigns.decide(given, update, why, as_machine=as_json, more=more))

    @app.command(rich_help_panel=STEERING)
    def approve(given: Id, why: Why = "", as_json: Json = False) -> None:
        """Accept a planned cost above `approval_over`, or rates that rose above `max_rate_increase`."""
        decide(given, "approve", why, as_json)

    @app.command(rich_help_panel=STEERING)
    def skip(given: Id, target: Target, why: Why = "", as_json: Json = False) -> None:
        """Do not place an order, or one run of it."""
        decide(given, "skip", why, as_json, {"order": target})

    @app.command(rich_help_panel=STEERING)
    def retry(given: Id, target: OneRun, why: Why = "", as_json: Json = False) -> None:
        """Buy again what a run that has ended did not deliver."""
        decide(given, "retry", why, as_json, {"order": target})

    @app.command("raise-budget", rich_help_panel=STEERING)
    def raise_budget(
        given: Id,
        budget: Annotated[str, typer.Argument(metavar="AMOUNT", help='The new budget, such as "150.00 USD".')],
        why: Why = "",
        as_json: Json = False,
    ) -> None:
        """Set a higher budget; what the old one held goes on."""
        decide(given, "raise_budget", why, as_json, {"budget": budget})

    @app.command(rich_help_panel=STEERING)
    def reschedule(
        given: Id,
        later: Annotated[str, typer.Argument(metavar="DURATION", help="How much later, such as 2h.")],
        order: Annotated[str | None, typer.Option("--order", metavar="ORDER", help="Only this order.")] = None,
        why: Why = "",
        as_json: Json = False,
    ) -> None:
        """Move what is not yet placed to later."""
        decide(given, "reschedule", why, as_json, {"later": later} | ({"order": order} if order else {}))

    @app.command(rich_help_panel=STEERING)
    def halt(account: AccountName, why: Why = "", as_json: Json = False) -> None:
        """Stop every placement of an account at once, in all campaigns and workers; open orders go on."""
        from commands import halting

        run(lambda: halting.halt_account(account, why, as_machine=as_json))

    @app.command(rich_help_panel=STEERING)
    def release(account: AccountName, why: Why = "", as_json: Json = False) -> None:
        """Let a halted account's placements go on."""
        from commands import halting

        run(lambda: halting.release_account(account, why, as_machine=as_json))

    @app.command(rich_help_panel=STEERING)
    def audit(
        given: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Campaigns; all when none.")] = None,
        as_json: Json = False,
    ) -> None:
        """Hold campaigns against the panel: every order's id, state, delivery and charge. Exit 1 if they differ."""
        from commands import auditing

        run(lambda: auditing.audit_campaigns(given or [], as_machine=as_json))
