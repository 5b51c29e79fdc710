"""What a verification says, as tests ask for it."""

from collections.abc import Collection

from hub_export.verify.checks import Check, Outcome


def assert_passed(checks: Collection[Check]) -> None:
    """Something was compared, and nothing differs; else it says what was found."""
    others = {each.subject: each.found for each in checks if each.outcome is not Outcome.PASSED}
    assert checks, "nothing was compared"
    assert not others, others
