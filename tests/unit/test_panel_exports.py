from __future__ import annotations

import re

import panel  # noqa: ICN001 -- ours, not the plotting library
from panel import errors

EXPORTED = {
    *("AccountBlocked", "AlreadyRequested", "Ambiguous", "BadSignature", "Balance", "BusyLink", "Catalog", "Delivery"),
    *("InsufficientFunds", "Missing", "NotYet", "OrderNotFound", "OrderRequest", "OrderStatus", "PanelClient"),
    *("PanelError", "Refused", "Rejected", "Service", "SignatureScheme", "StatusWord", "Throttled", "Unreachable"),
    *("Unreadable", "UnreadableDelivery", "Webhook", "WebhookError", "parse_delivery", "sign", "verify"),
}


def test_the_package_exports_exactly_these_names() -> None:
    assert panel.__all__ == sorted(EXPORTED)
    assert all(hasattr(panel, name) for name in EXPORTED)


def test_the_tree_drawn_in_errors_is_the_tree_of_the_classes() -> None:
    def descend(kind: type[Exception]) -> list[str]:
        return [kind.__name__, *(name for child in kind.__subclasses__() for name in descend(child))]

    drawn = re.findall(r"^[ │├└─]{4,}(\w+) {2,}\w", errors.__doc__ or "", re.MULTILINE)
    assert drawn == descend(errors.PanelError) + descend(errors.WebhookError)
