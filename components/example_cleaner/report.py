"""The page of ExampleCleaner: what each rule did, by split, with examples, and what a server does with it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import altair as alt

from penstock.components.example_cleaner.limits import TooMuch
from penstock.components.example_cleaner.writing import Counted, Shown
from penstock.core import page
from penstock.core.cleaning.cleaning import Cleaning
from penstock.core.cleaning.rows import DROPPED
from penstock.core.cleaning.rules import Missing, Rule
from penstock.core.cleaning.steps import Step
from penstock.core.page import numbers
from penstock.core.text import printable

_LONGEST = 80  # characters of a value
_LONGEST_NAME = 60
_BAR = 22  # pixels
_MOST_COLUMNS = 40  # with missing values, in the chart
_ALL = "all columns"
_WIDTH = alt.AutoSizeParams(type="fit-x", contains="padding")  # the height is that of the bars


def write(path: Path, cleaning: Cleaning, counted: Counted, problem: TooMuch | None = None) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html. `problem` is why the run ended."""
    body = "\n".join(
        [
            "<h1>Cleaning</h1>",
            f'<p class="muted">{_summary(counted)}</p>',
            f"<p>{page.mark('The run ended', good=False)} {escape(str(problem))}</p>" if problem else "",
            _splits(counted),
            _rules(cleaning, counted),
            _missing(counted),
            *_details(cleaning, counted),
        ]
    )
    return page.write(path, "Cleaning", body, "cleaning")


def _summary(counted: Counted) -> str:
    rows, dropped, changed = counted.rows.total(), counted.dropped.total(), counted.changed.total()
    return (
        f"Of {numbers.count(rows)} rows {_share(dropped, rows)} were dropped and {_share(changed, rows)} changed. "
        "All of them are in the quarantine."
    )


def _share(count: int, of: int) -> str:
    return f"{numbers.count(count)} ({numbers.percentage(count / of)})" if count else "none"


def _splits(counted: Counted) -> str:
    rows = "".join(
        f'<tr><td class="name">{escape(split)}</td><td class="number">{numbers.count(count)}</td>'
        f'<td class="number">{_share(counted.dropped[split], count)}</td>'
        f'<td class="number">{_share(counted.changed[split], count)}</td></tr>'
        for split, count in counted.rows.items()
    )
    header = '<th>split</th><th class="number">rows</th><th class="number">dropped</th><th class="number">changed</th>'
    return page.table(rows, header)


def _rules(cleaning: Cleaning, counted: Counted) -> str:
    """What was done by each rule: a chart of the rules that did something, and a table of all."""
    done = [
        {"rule": name, "split": split, "values": count, "share": count / max(counted.rows[split], 1)}
        for index, name in enumerate(_names(cleaning.rules))
        for split in counted.rows
        if (count := sum(_of_rule(counted, index, split).values()))
    ]
    drawn = ""
    if done:
        splits, names = list(counted.rows), list(dict.fromkeys(str(one["rule"]) for one in done))
        bars = (
            alt.Chart(alt.Data(values=done), height=alt.Step(_BAR / len(splits) + 4), autosize=_WIDTH)
            .mark_bar()
            .encode(
                y=alt.Y("rule:N", sort=names, title=None, axis=alt.Axis(labelLimit=220)),
                yOffset=alt.YOffset("split:N", sort=splits),
                x=alt.X("share:Q", title="values for each row of the split", axis=alt.Axis(format=numbers.D3_SHARE)),
                color=alt.Color("split:N", sort=splits, legend=None),
                tooltip=["rule:N", "split:N", alt.Tooltip("values:Q", format=numbers.D3_COUNT)],
            )
        )
        drawn = page.legend(splits) + page.chart(bars, "What each rule dropped, changed or marked")
    return f"<h2>Rules</h2>{_table(cleaning, counted)}{drawn}"


def _table(cleaning: Cleaning, counted: Counted) -> str:
    splits = list(counted.rows)
    names = _names(cleaning.rules)
    rows = "".join(
        f'<tr><td><a href="#rule-{index}">{page.breakable(names[index])}</a></td>'
        + "".join(f'<td class="number">{_done(step, _of_rule(counted, index, split))}</td>' for split in splits)
        + f"<td>{escape(step.rule.not_at_serving) or 'applied'}</td></tr>"
        for index, step in enumerate(cleaning.steps)
    )
    header = f"<th>rule</th>{''.join(f'<th class=number>{escape(split)}</th>' for split in splits)}<th>at serving</th>"
    return page.table(rows, header)


def _of_rule(counted: Counted, index: int, split: str) -> Counter[str]:
    actions = Counter[str]()
    for effect, count in counted.effects.items():
        if effect.step == index and effect.split == split:
            actions[effect.action] += count
    return actions


def _done(step: Step, actions: Counter[str]) -> str:
    columns = left_out(step)
    if columns:
        return f"{len(columns)} column{'s' if len(columns) > 1 else ''} left out"
    return ", ".join(f"{numbers.count(count)} {escape(action)}" for action, count in actions.items()) or "nothing"


def _missing(counted: Counted) -> str:
    """The share of rows without a value, before and after, of columns in which it differs or is not zero."""
    columns = dict.fromkeys(column for _, column in counted.before)
    shares = []
    kept = counted.rows.total() - counted.dropped.total()
    for column in columns:
        before = 1 - sum(counted.before[split, column] for split in counted.rows) / max(counted.rows.total(), 1)
        after = 1 - sum(counted.after[split, column] for split in counted.rows) / max(kept, 1)
        is_left_out = not any((split, column) in counted.after for split in counted.rows)
        if before > 0 or (after > 0 and not is_left_out):
            shares.append((column, before, None if is_left_out else after))
    if not shares:
        return ""
    drawn = sorted(shares, key=lambda one: -max(one[1], one[2] or 0))[:_MOST_COLUMNS]
    points = [
        {"column": title, "when": when, "share": share}
        for title, (_, before, after) in zip(_titles([one[0] for one in drawn]), drawn, strict=True)
        for when, share in (("before", before), ("after", after))
        if share is not None
    ]
    chart = (
        alt.Chart(alt.Data(values=points), height=alt.Step(_BAR / 2 + 2), autosize=_WIDTH)
        .mark_bar()
        .encode(
            y=alt.Y("column:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
            yOffset=alt.YOffset("when:N", sort=["before", "after"]),
            x=alt.X("share:Q", title="rows without a value", axis=alt.Axis(format=numbers.D3_SHARE)),
            color=alt.Color("when:N", sort=["before", "after"], legend=None),
            tooltip=["column:N", "when:N", alt.Tooltip("share:Q", format=numbers.D3_SHARE)],
        )
    )
    more = f" The {_MOST_COLUMNS} with most are drawn." if len(shares) > _MOST_COLUMNS else ""
    note = f'<p class="muted">A column without a bar for after was left out.{more}</p>'
    return f"<h2>Missing values</h2>{note}{page.legend(['before', 'after'])}{page.chart(chart)}"


def _details(cleaning: Cleaning, counted: Counted) -> Iterator[str]:
    """Yields what each rule is, what was learned for it, and the first of what it did."""
    for index, (step, name) in enumerate(zip(cleaning.steps, _names(cleaning.rules), strict=True)):
        shown = counted.shown.get(index, [])
        nothing = f"Left out: {escape(', '.join(left_out(step)))}." if left_out(step) else "It found nothing."
        examples = _examples(shown) if shown else f'<p class="muted">{nothing}</p>'
        learned = f"<p>Learned: {escape(learned_words(step))}</p>" if step.learned else ""
        columns = escape(", ".join(step.rule.reads) or _ALL)
        serving = escape(step.rule.not_at_serving) or "applied"
        yield (
            f'<article id="rule-{index}"><h3>{page.breakable(name)}</h3>'
            f'<p class="muted">{escape(step.rule.KIND)} · {columns} · at serving: {serving}</p>'
            f"{learned}{examples}</article>"
        )


def left_out(step: Step) -> list[str]:
    """Returns the columns that a rule leaves out."""
    dropped = isinstance(step.rule, Missing) and step.rule.action == "drop_column"
    return [column for column, value in step.learned.items() if value[DROPPED]] if dropped else []


def learned_words(step: Step) -> str:
    """Returns what was learned for a rule in words: `fare 7.85, tips 0`."""
    return ", ".join(f"{column} {_learned(value)}" for column, value in step.learned.items())


def _learned(value: Any) -> str:
    match value:
        case [low, high]:
            return f"{numbers.number(float(low), 4)} to {numbers.number(float(high), 4)}"
        case {"missing": share, "dropped": dropped}:
            return f"{numbers.percentage(float(share))} missing, {DROPPED if dropped else 'kept'}"
        case int() | float():
            return numbers.number(float(value), 4)
        case _:
            return printable.value(value)


def _examples(shown: Sequence[Shown]) -> str:
    rows = "".join(
        f'<tr><td>{escape(one.split)}</td><td class="number">{numbers.count(one.record)}</td>'
        f'<td class="name">{page.breakable(one.column) or "the row"}</td>'
        f'<td class="value">{_value(one.old)}</td><td>{escape(one.action)}</td>'
        f'<td class="value">{_value(one.new) if one.new is not None else ""}</td></tr>'
        for one in shown
    )
    header = '<th>split</th><th class="number">record</th><th>column</th><th>old</th><th></th><th>new</th>'
    return page.table(rows, header)


def _value(value: str | None) -> str:
    if value is None:
        return '<span class="muted">none</span>'
    shortened = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    return (
        f"<code>{escape(printable.printable(shortened))}</code>"
        if shortened.strip() == shortened
        else (f"<code>{escape(repr(shortened))}</code>")
    )


def _names(rules: Sequence[Rule]) -> list[str]:
    return _titles([rule.name for rule in rules])


def _titles(names: Sequence[str]) -> list[str]:
    return printable.names(list(names), _LONGEST_NAME)
