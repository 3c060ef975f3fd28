"""A worker is versioned by its environment alone, completely or not at all."""

from __future__ import annotations

import pytest
from temporalio.common import VersioningBehavior

from configuration import ConfigurationError
from worker import BUILD_VARIABLE, NAME_VARIABLE, deployment


def test_without_the_variables_a_worker_is_unversioned() -> None:
    assert deployment({}) is None
    assert deployment({NAME_VARIABLE: "", BUILD_VARIABLE: ""}) is None


def test_with_both_it_is_that_build_and_campaigns_move_to_the_current_one() -> None:
    found = deployment({NAME_VARIABLE: "campaigner", BUILD_VARIABLE: "2026-12-04.1"})
    assert found is not None
    assert found.use_worker_versioning
    assert found.version.to_canonical_string() == "campaigner.2026-12-04.1"
    assert found.default_versioning_behavior is VersioningBehavior.AUTO_UPGRADE


@pytest.mark.parametrize(("given", "missing"), [(NAME_VARIABLE, BUILD_VARIABLE), (BUILD_VARIABLE, NAME_VARIABLE)])
def test_half_of_it_is_refused(given: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
        deployment({given: "x"})
