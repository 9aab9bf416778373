"""What a finding's evidence says of its likely cause, in words."""

import math

from penstock.core.artifacts.alerts import Evidence, Finding
from penstock.core.page import numbers

_FEW = 0.001  # shares of rows that are no cause
_MOST = 0.95
_NAMED = 3  # values that are named
_SAME = 0.02  # how far a factor may be from a known one
# What a person changes without telling: by the factor that the numbers change by.
_UNITS = {
    1000: "a unit of thousandths, such as grams for kilograms",
    1e6: "a unit of millionths, such as microseconds for seconds",
    100: "hundredths, such as cents, or percent for a share",
    3600: "seconds for hours",
    60: "minutes for hours, or seconds for minutes",
    24: "hours for days",
    2.54: "centimetres for inches",
    30.48: "centimetres for feet",
    3.28084: "feet for metres",
    1.609344: "kilometres for miles",
    2.204623: "pounds for kilograms",
    28.34952: "grams for ounces",
    3.785412: "litres for gallons",
}


def likely(finding: Finding) -> str:
    """Returns a finding's likely cause: its own, else what its evidence tells; "" where nothing points to one."""
    if finding.get("cause"):
        return finding["cause"]
    evidence = finding.get("evidence", {})
    causes = (_missing(evidence), _unit(evidence), _values(evidence), _range(evidence), _dependence(evidence))
    return next(filter(None, causes), "")


def _missing(evidence: Evidence) -> str:
    missing, before = evidence.get("missing", 0.0), evidence.get("missing_before", 0.0)
    if missing - before <= _FEW or missing < 2 * before:
        return ""
    share, usual = numbers.percentage(missing), numbers.percentage(before)
    if missing >= _MOST:
        return f"the source of the feature is missing: {share} of the rows have no value ({usual} in training)"
    return f"values are missing in {share} of the rows ({usual} in training): a part of the sources may not deliver"


def _unit(evidence: Evidence) -> str:
    scale, offset = evidence.get("scale", 1.0), evidence.get("offset", 0.0)
    if not (math.isfinite(scale) and math.isfinite(offset)) or scale == 0:
        return ""
    if abs(scale - 1.8) < _SAME and abs(offset - 32) < 1:
        return "values are 1.8 times those in training plus 32: degrees Fahrenheit for Celsius"
    if abs(scale - 1 / 1.8) < _SAME and abs(offset + 32 / 1.8) < 1:
        return "values look like degrees Celsius for Fahrenheit"
    if abs(scale - 1) < _SAME:
        return f"values are shifted by {numbers.difference(offset)}" if offset else ""
    if scale < 0:
        return "values have the other sign" if abs(scale + 1) < _SAME else ""
    shift = f" plus {numbers.number(offset)}" if offset else ""
    return f"values are {numbers.number(scale)} times those in training{shift}: {_changed_unit(scale)}"


def _changed_unit(scale: float) -> str:
    for factor, words in _UNITS.items():
        if abs(scale / factor - 1) < _SAME:
            return f"perhaps {words}"
        if abs(scale * factor - 1) < _SAME:
            return f"perhaps the reverse of {words}"
    return "perhaps another unit or scale"


def _values(evidence: Evidence) -> str:
    new, lost = evidence.get("new_values", []), evidence.get("lost_values", [])
    if evidence.get("new", 0.0) > _FEW and new:
        swapped = f", while {_named(lost)} no longer comes" if lost else ""
        share = numbers.percentage(evidence.get("new", 0.0))
        return f"{share} of the rows have values that training has not seen, such as {_named(new)}{swapped}"
    return f"values of the training data no longer come: {_named(lost)}" if lost else ""


def _range(evidence: Evidence) -> str:
    share = evidence.get("out_of_range", 0.0)
    return f"{numbers.percentage(share)} of the rows lie beyond the training data's range" if share > _FEW else ""


def _dependence(evidence: Evidence) -> str:
    partner = evidence.get("partner", "")
    return f"its dependence on {partner} has changed, though both look alike by themselves" if partner else ""


def _named(values: list[str]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(map(repr, values[:_NAMED])) + more
