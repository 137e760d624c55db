"""``docs/metrics.md`` from the registry: ``python -m crm_core.services.analytics.metric_pages > docs/metrics.md``. A test keeps them equal."""

import sys

from crm_core.entities import entity
from crm_core.fields import builtin
from crm_core.services.analytics import stage_flow, velocity
from crm_core.services.analytics.attention import REMINDERS
from crm_core.services.analytics.metric_rules import AREAS, FEW_BEFORE, LEAST, METRICS, Metric
from crm_core.vocabulary import Against, MetricUnit, PeriodPreset

_HEAD = """# Key figures

Generated from `crm_core/services/analytics/metric_rules.py`, the one place where a figure is defined; the overview, the lists behind it and
this page can't disagree. After a change there: `python -m crm_core.services.analytics.metric_pages > docs/metrics.md`.

## Rules for all of them

* **Scope.** A figure counts only records that its reader may see: own, team, everyone below, or all, as the role says. Records in the bin never
  count. Two people may therefore read different numbers under the same name; both are right.
* **Masks.** A figure made of a field that a role hides is not shown to that role, and neither is its trend or breakdown.
* **Money** is added up in whole minor units (cents) of the workspace currency. An average is rounded once, at the end, half to even.
* **Days.** A deal's day is the calendar day that it carries. Instants (a lead's creation, an order, a ticket) belong to the calendar day of the
  *reader's* time zone, daylight saving included. Both ends of a period count.
* **The list behind a figure** is the same filter. Where a figure is a sum, the total of the list is that sum.
* **Chance.** Shares carry a 95% Wilson interval. A change stays grey while chance alone could make it: for shares, when Newcombe's interval of
  the difference holds zero; for sums and counts, when a t interval of the steps against those of the period before (widened for autocorrelation)
  does. Medians, averages with empty steps, and what is open now are not tested; they are coloured by direction.
* **Too few before.** A change is told only when at least {before} records stand behind the earlier figure, and at least a tenth of the present ones: chance
  alone moves a count of nine by two thirds, and a change against a time with hardly any records says that the records began, not that something
  grew. The earlier figure itself stays readable under the sign beside the number. Dashboards, shared pages, reports and sales velocity keep to it too.
* **Few cases.** Shares and times of tickets say nothing about a single agent below {least} tickets: no value, no place in an order, "too few" beside
  the name. The table of agents on the overview colours a share only where it differs from everybody else's by more than chance explains (Fisher's
  exact test, Holm's correction over all cells, 5%).
* **Age of open tickets.** Open tickets are split by age too, in whole days of the reader since they were opened; on the overview and on dashboards.
* **Freshness.** A figure is exact at any moment. Orders and tickets by step are read from daily summaries, and days that changed since their last refresh from the
  records themselves; everything else is read from the records, through indexes that hold all that is asked for.

## Periods

{periods}

Compared with: {against}. The running quarter and year are compared with as many days of the one before. All time has no comparison.
The steps of a trend are days (up to 31), weeks (up to about six months), months (up to three years), quarters or years.
"""
_STAGES = f"""## Stages and velocity

Folded under the sales figures of the overview; the time that a single deal spent in each stage is on its page, beside the stages.

* **What is counted.** Stays in a stage of the chosen pipeline that *began* in the period, by the reader's days. A deal that comes back into a
  stage begins another stay. Entered = went on + lost from here + moved elsewhere + still there.
* **Went on**: the stay ended with a later open stage of the pipeline, or with winning. **Lost here**: with losing. **Elsewhere**: with an earlier
  stage, or with another pipeline. **Still there**: it has not ended; its number opens the list of exactly these deals.
* **Days in the stage.** The age by which half, and nine of ten, have left, by whatever way: the quantiles of the Kaplan–Meier estimate. Stays that
  last are censored: they count as "at least so long", so neither leaving them out nor taking them for ended bends the figure. "Not known yet" where
  so many still stand there that the share has not been reached; no days at all where fewer than {stage_flow.FEW} stays have ended. Calendar days, weekends included, to a tenth.
* **Where it comes from.** Each move writes when it was and how long the stay before it took. Imported deals have no way before their import: a
  stay that began with one has no known length. While it lasts it is counted as still there but not in the days; its end is left out. From then on
  each move counts. A stage that was removed since counts as elsewhere.
* **Sales velocity** = open deals × win rate × average won value ÷ mean days from opening to winning × {float(velocity.MONTH):.1f} (the days of a month). Open deals of
  this moment, or of the last day of the compared period; won and lost deals by their closing day in the period. The mean of the days and not the median of
  *Sales cycle*, since only means multiply. No figure with fewer than {velocity.FEW} won deals. It says what the pipeline yields if it turns as it did; it is no forecast.
"""
_IDLE = """## Idle deals

One rule (`crm_core/idleness.py`) for the overview, *Today*, the cards of the board, reminders, tasks that are raised by themselves, automations and the filter
*Idle* of lists, saved views and dashboard tiles.

* An open deal is **idle** when as many *working days* as *Idle after* of its stage says (*Admin → Pipelines*) have passed since its last contact, or since it came
  into the stage when that was later. A stage without such a number knows no idle deals.
* **Contact goes both ways**: a call, an e-mail or a meeting that is logged on the deal. A note is none; nor is a call whose outcome is *No answer*, *Left a voicemail*
  or *Wrong number*. A meeting that is planned counts already, at its own time. Whoever changes, moves or removes an activity changes *Last contact* with it.
* **Working days** are those with working hours in the workspace's settings, in its time zone, counted back from now at the same time of day: a call on Friday at 16:00 is one
  working day old on Monday at 16:00. On a free day the clock stands at the end of the last working day. Without any working hours every day counts.
* A deal has **no next step** when it has neither words nor a day for one. A task that a person plans on a deal without one is written there, with its
  day: it goes along when the task is put off, and is gone when the task is done.
"""
_PERIODS = {
    PeriodPreset.DAYS_30: "the last 30 days, today included",
    PeriodPreset.DAYS_90: "the last 90 days, today included",
    PeriodPreset.MONTHS_12: "the last 12 months, today included",
    PeriodPreset.QUARTER: "the running quarter of the fiscal year, up to today",
    PeriodPreset.YEAR: "the running fiscal year, up to today",
    PeriodPreset.ALL: "everything",
    PeriodPreset.CUSTOM: "any first and last day",
}
_BETTER = {"up": "more is better", "down": "less is better", "": "neither is good in itself"}
_UNITS = {
    MetricUnit.MONEY: "money", MetricUnit.COUNT: "number of records", MetricUnit.SHARE: "share in percent", MetricUnit.DAYS: "days",
    MetricUnit.SECONDS: "time", MetricUnit.RETURN: "percent of the cost",
}  # fmt: skip


def page() -> str:
    """The whole page as Markdown."""
    periods = "\n".join(f"* **{preset.label}**: {words}" for preset, words in _PERIODS.items())
    against = ", ".join(choice.label.lower() for choice in Against)
    parts = [_HEAD.format(periods=periods, against=against, least=LEAST, before=FEW_BEFORE)]
    for area, label in AREAS.items():
        parts.append(f"## {label}\n")
        parts += [_entry(metric) for metric in METRICS.values() if metric.area == area]
    parts += [_STAGES, _IDLE]
    parts.append("## Needs attention\n")
    parts += [
        f"* **{reminder.many.capitalize()}** ({entity(reminder.entity).plural.lower()}): {reminder.why.lower()}."
        for reminder in REMINDERS.values()
    ]
    return "\n".join(parts) + "\n"


def _entry(metric: Metric) -> str:
    facts = [_UNITS[metric.unit], _BETTER[metric.better], f"list: {entity(metric.entity).plural.lower()}"]
    if metric.counts:
        facts.append("with a 95% interval")
    if metric.now:
        facts.append("as of now")
    lines = [f"### {metric.label}\n", f"{metric.formula} {metric.note}\n", f"`{metric.key}` · " + " · ".join(facts)]
    if metric.breakdowns:
        fields = builtin(metric.entity)
        lines[-1] += " · by " + ", ".join(fields[key].label.lower() for key in metric.breakdowns)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
