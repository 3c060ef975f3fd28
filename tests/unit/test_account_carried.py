"""What an account carries over continue-as-new fits into a payload, and comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

import pytest

from workflows.kept import AccountInput, Day, Followed, Halted
from workflows.payloads import BadArgument

NOW = datetime(2026, 12, 4, 15, 0, tzinfo=UTC)
PAYLOAD = 2 * 1024 * 1024
"""More than this no payload may have (Temporal's limit)."""


def _carried(orders: int) -> AccountInput:
    ids = [str(uuid5(NAMESPACE_URL, str(number))) for number in range(orders)]
    followed = {
        f"ord_01{each[:8]}{each[9:13]}".upper(): Followed(
            campaign="campaign/spring-launch", every=60.0, read_at=NOW, wanted_at=NOW, told=int(each[:8], 16)
        )
        for each in ids
    }
    day = Day(date="2026-12-04", ends=NOW, reserved=dict.fromkeys(ids, Decimal("0.45")), before=ids)
    return AccountInput(account="main", followed=followed, next_round=NOW, halted=Halted(by="ada"), day=day)


@pytest.mark.parametrize("orders", [0, 10, 20_000])
def test_what_is_carried_over_fits_and_comes_back(orders: int) -> None:
    carried = _carried(orders)
    packed = carried.packed_if_large()
    assert len(packed.model_dump_json()) < PAYLOAD
    assert AccountInput.model_validate_json(packed.model_dump_json()).unpacked() == carried


def test_little_is_carried_as_it_is_so_that_people_and_older_workers_can_read_it() -> None:
    assert _carried(10).packed_if_large() == _carried(10)


@pytest.mark.parametrize("packed", ["*", "AAAA", "eJwDAAAAAAE="])
def test_what_no_account_wrote_is_refused(packed: str) -> None:
    with pytest.raises(BadArgument, match="packed"):
        AccountInput(account="main", packed=packed).unpacked()
