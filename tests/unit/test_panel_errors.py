from __future__ import annotations

import pytest

from panel import (
    AccountBlocked,
    AlreadyRequested,
    Ambiguous,
    BusyLink,
    InsufficientFunds,
    NotYet,
    OrderNotFound,
    PanelError,
    Rejected,
    Throttled,
    Unreachable,
)
from panel.errors import kind_of


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Rate limit exceeded", Throttled),
        ("request_id was already used with a different body", Ambiguous),
        ("Idempotency key in use", Ambiguous),
        ("Missing required parameter: request_id", Rejected),
        ("request_id must be at most 128 characters", Rejected),
        ("Insufficient balance", InsufficientFunds),
        ("NOT ENOUGH FUNDS ON BALANCE", InsufficientFunds),
        ("You do not have enough funds to Place order", InsufficientFunds),
        ("Order amount exceeds available funds!", InsufficientFunds),
        ("neworder.error.not_enough_funds", InsufficientFunds),
        ("You have active order with this link. Please wait until order being completed.", BusyLink),
        ("neworder.error.link_duplicate", BusyLink),
        ("neworder.error.link", Rejected),
        ("Invalid API key", AccountBlocked),
        ("Incorrect API key", AccountBlocked),
        ("Invalid key", AccountBlocked),
        ("Invalid keyword", Rejected),
        ("Account suspended", AccountBlocked),
        ("Your account has been blocked", AccountBlocked),
        ("Service not found", Rejected),
        ("Coupon not found", Rejected),
        ("Quantity must be a positive integer", Rejected),
        ("Incorrect request", Rejected),
        ("Incorrect order ID", OrderNotFound),
        ("Order not found", OrderNotFound),
        ("Cancel already requested", AlreadyRequested),
        ("The order refill was requested less than 24 hours ago", NotYet),
        ("The order is not completed", NotYet),
        ("Refill is disabled for this service", Rejected),
        ("Refill days are over", Rejected),
        ("Refill limit reached for this order", Rejected),
        ("This order cannot be canceled", Rejected),
        ("Order is already completed and cannot be canceled", Rejected),
        ("Cancel is not available", Rejected),
    ],
)
def test_known_words_have_their_class_and_all_others_are_rejected(words: str, kind: type[PanelError]) -> None:
    assert kind_of(words, action="add", http_status=400) is kind


def test_nothing_a_5xx_says_makes_an_add_definite() -> None:
    for words in ("Insufficient balance", "Invalid API key", "Service not found", "Rate limit exceeded"):
        assert kind_of(words, action="add", http_status=503) is Ambiguous


def test_an_error_says_what_happened_in_whose_words_and_what_to_do() -> None:
    error = InsufficientFunds("Insufficient balance.", action="add", http_status=400)
    assert str(error) == (
        "add was refused (HTTP 400): Insufficient balance. "
        "Top up the account's balance; the order can be placed after that."
    )
    assert (error.words, error.action, error.http_status) == ("Insufficient balance.", "add", 400)


def test_an_ambiguous_order_is_to_be_sent_again_as_it_was_and_a_reading_just_asked_again() -> None:
    assert "same request_id" in str(Ambiguous("timeout", action="add"))
    assert "request_id" not in str(Ambiguous("timeout", action="status"))


@pytest.mark.parametrize(
    ("error", "elsewhere"),
    [
        (Ambiguous("the answer is not JSON but Welcome", http_status=200), True),
        (Ambiguous("the answer is not JSON but Not Found", http_status=404), True),
        (Ambiguous("the panel redirects", http_status=301), True),
        (Rejected("no such route", http_status=404), True),
        (Ambiguous("the answer is not JSON but 502 Bad Gateway", http_status=502), False),
        (Ambiguous("request in progress", http_status=409), False),
        (Ambiguous("no complete answer within 25 s"), False),
        (Unreachable("no route"), False),
        (Rejected("Service not found", http_status=400), False),
        (OrderNotFound("Incorrect order ID", http_status=404), False),
        (AccountBlocked("Invalid API key", http_status=401), False),
    ],
)
def test_an_answer_that_is_not_the_apis_points_at_the_address(error: PanelError, *, elsewhere: bool) -> None:
    assert error.from_elsewhere is elsewhere
