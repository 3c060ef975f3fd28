"""The activities of the campaigns' own queue: they touch no panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.accounts import PanelAccount, account_named
from activities.contracts import (
    CAMPAIGNS_QUEUE,
    DESCRIBE_ACCOUNT,
    FOLLOW_ORDERS,
    RECALL_ORDERS,
    AccountDescribed,
    DescribeAccount,
    FollowOrders,
    OrdersRecalled,
    RecallOrders,
    account_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from temporalio.client import Client

    from activities.recalling import Memory


_PAGE = 500
"""Orders in one answer: well below the limit of a payload."""


class CampaignActivities:
    """What a worker does for campaigns beside the panel."""

    def __init__(self, client: Client, accounts: Mapping[str, PanelAccount], memory: Memory) -> None:
        self._client = client
        self._memory = memory
        self._accounts = accounts

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """Every activity of the campaigns' queue."""
        return [self.describe_account, self.follow_orders, self.recall_orders]

    @activity.defn(name=DESCRIBE_ACCOUNT)
    async def describe_account(self, asked: DescribeAccount) -> AccountDescribed:
        """Give what the configuration says of an account, without its key."""
        return AccountDescribed(facts=account_named(self._accounts, asked.account).facts)

    @activity.defn(name=FOLLOW_ORDERS)
    async def follow_orders(self, asked: FollowOrders) -> None:
        """Tell the account's workflow which orders to read, starting it if it is not running."""
        await self._client.start_workflow(
            "Account",
            {"account": asked.account},
            id=account_id(asked.account),
            task_queue=CAMPAIGNS_QUEUE,
            start_signal="follow",
            start_signal_args=[asked.request],
            static_summary=f"reads the order statuses of account {asked.account} for all its campaigns",
        )

    @activity.defn(name=RECALL_ORDERS)
    async def recall_orders(self, asked: RecallOrders) -> OrdersRecalled:
        """Read what the replaced runs of this campaign bought, or may have bought."""
        info = activity.info()
        sendings = await self._memory.sendings(info.workflow_id or "", info.workflow_run_id or "", asked.resets)
        page = sendings.at_the_panel()[asked.offset :]
        return OrdersRecalled(orders=page[:_PAGE], more=len(page) > _PAGE)
