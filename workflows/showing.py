"""What the Web UI and its lists show of a campaign: live details, search attributes, and what it waits for."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from campaigns import report
    from campaigns.engine import status_of
    from campaigns.state import CampaignState, State
    from workflows import attributes

TELL_EVERY = timedelta(seconds=30)
"""Search attributes that only count are written at most this often: each write is an event of the history."""


def _figures(state: State) -> tuple[str, float, int, float]:
    """Give what the search attributes say: state, spent, open orders, percent delivered."""
    return status_of(state).value, float(state.spent), state.open, float(report.delivered_percent(state))


class Shown:
    """What was shown last, so that only what differs is written."""

    def __init__(self) -> None:
        self.waiting_for = ""
        """For the summary of the timer that is started next."""
        self.figures_follow = False
        """Whether figures that were not written in time are written later; set by a patch."""
        self.again_at: datetime | None = None
        """When figures that were not written are to be; None when all are."""
        self._told: tuple[str, float, int, float] | None = None
        self._told_at: datetime | None = None

    def show_planning(self, name: str, account: str) -> None:
        """Show a campaign that has no plan yet."""
        workflow.set_current_details("**planning** · reads the panel's catalog")
        workflow.upsert_search_attributes(
            [
                attributes.CAMPAIGN_NAME.value_set(name),
                attributes.ACCOUNT.value_set(account),
                attributes.CAMPAIGN_STATE.value_set(CampaignState.PLANNING.value),
            ]
        )

    def show_refusal(self) -> None:
        """Show a campaign that never gets a plan."""
        self.write_word(CampaignState.FAILED)
        workflow.set_current_details("**failed** · nothing was ordered")

    def write_word(self, state: CampaignState) -> None:
        """Write the campaign's state alone, where there are no figures."""
        workflow.upsert_search_attributes([attributes.CAMPAIGN_STATE.value_set(state.value)])

    def show_state(self, state: State, now: datetime) -> None:
        """Show the state at hand; write the attributes when its word changed, or when they are old."""
        self.waiting_for = report.next_thing(state)
        workflow.set_current_details(report.markdown(state))
        word_changed = self._told is None or self._told[0] != status_of(state).value
        if word_changed or self._told_at is None or now - self._told_at >= TELL_EVERY:
            self.write_figures(state, now)
        untold = self.figures_follow and _figures(state) != self._told
        self.again_at = self._told_at + TELL_EVERY if untold and self._told_at is not None else None

    def write_figures(self, state: State, now: datetime) -> None:
        """Write the search attributes, if they differ."""
        facts = word, spent, _, delivered = _figures(state)
        if facts == self._told:
            return
        self._told, self._told_at = facts, now
        money = [] if state.plan.account.private else [attributes.SPENT.value_set(spent)]
        workflow.upsert_search_attributes(
            [
                attributes.CAMPAIGN_NAME.value_set(state.plan.name),
                attributes.ACCOUNT.value_set(state.plan.account.name),
                attributes.CAMPAIGN_STATE.value_set(word),
                *money,
                attributes.OPEN_ORDERS.value_set(state.open),
                attributes.DELIVERED.value_set(delivered),
            ]
        )
