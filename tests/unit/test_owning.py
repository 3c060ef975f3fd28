"""What an account says of a file, however wrong the file is otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.accounts import AccountFacts
from campaigns.owning import account_problems

ACCOUNT = AccountFacts(name="main", allowed_targets=["https://example.com/brand/*"])
OURS, THEIRS = "https://example.com/brand/a", "https://elsewhere.example/a"


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"orders": [{"link": OURS}]}, []),
        ({"orders": [{"link": THEIRS, "quantity": 0}]}, [("orders", 0, "link")]),
        ({"targets": {"film": THEIRS}, "orders": [{"target": "film", "after": "nope"}]}, [("targets", "film")]),
        ({"targets": {"film": THEIRS}, "orders": [{"link": OURS}]}, []),
        ({"defaults": {"link": THEIRS}, "orders": [{"id": "a"}, {"id": "b"}]}, [("defaults", "link")]),
        ({"limits": {"budget": "20 EUR", "per_day": "5 USD", "approval_over": "?"}}, [("limits", "budget")]),
        ({"orders": [7, None, {"link": 7}, {"link": "not a link"}, {"target": ["film"]}], "targets": []}, []),
        ([], []),
        (None, []),
    ],
)
def test_every_link_and_currency_is_told_where_it_stands(document: Any, where: list[Any]) -> None:
    assert [problem.loc for problem in account_problems(document, ACCOUNT)] == where
