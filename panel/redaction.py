"""Keeping the API key out of every text that leaves the client."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "<key>"
_SHORT = 8  # a key this short may be part of an innocent word: only the whole word is masked


class Redactor:
    """Replaces the API key, plain or as a URL, HTML or JSON would write it, by `<key>`."""

    def __init__(self, key: str) -> None:
        forms = {key, quote(key), quote(key, safe=""), quote_plus(key), html.escape(key), json.dumps(key)[1:-1]}
        forms.add(key.replace("/", "\\/"))  # PHP's json_encode
        either = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        bounded = rf"(?<![A-Za-z0-9_])(?:{either})(?![A-Za-z0-9_])" if len(key) < _SHORT else either
        self._pattern = re.compile(bounded, re.IGNORECASE)

    def __repr__(self) -> str:
        return "Redactor()"

    def text(self, text: str) -> str:
        """Return the text without the key."""
        return self._pattern.sub(MASK, text)

    def document(self, value: Any) -> Any:
        """Return the JSON value with the key taken out of every string, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.document(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self.document(item) for name, item in value.items()}
        return value
