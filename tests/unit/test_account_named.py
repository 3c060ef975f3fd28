"""What a worker says of an account that it does not have."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from activities.accounts import account_named


def test_a_worker_without_the_account_says_what_it_has_and_that_it_reads_it_when_it_starts() -> None:
    with pytest.raises(ApplicationError, match=r'"new" is not .* \(it has: none\); .* restart it once') as told:
        account_named({}, "new")
    assert told.value.non_retryable
