"""The search attributes of campaigns: one registry, for the worker that registers them and the workflow that sets them.

An attribute that the server does not know would block a workflow task for ever (measured), so a worker makes sure of
them before it polls.
"""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

CAMPAIGN_NAME = SearchAttributeKey.for_keyword("CampaignName")
ACCOUNT = SearchAttributeKey.for_keyword("Account")
CAMPAIGN_STATE = SearchAttributeKey.for_keyword("CampaignState")
SPENT = SearchAttributeKey.for_float("Spent")
"""For lists and filters only; money is never computed from it."""
OPEN_ORDERS = SearchAttributeKey.for_int("OpenOrders")
DELIVERED = SearchAttributeKey.for_float("Delivered")
"""Percent."""

ALL: tuple[SearchAttributeKey[str] | SearchAttributeKey[int] | SearchAttributeKey[float], ...] = (
    CAMPAIGN_NAME,
    ACCOUNT,
    CAMPAIGN_STATE,
    SPENT,
    OPEN_ORDERS,
    DELIVERED,
)
