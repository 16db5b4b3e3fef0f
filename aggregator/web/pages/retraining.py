"""Retraining from the console: start a run, watch it, read its log, stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.rows import JobState, Role
from aggregator.web.pages import moments, parts, wording
from aggregator.web.pages.visits import sentence

if TYPE_CHECKING:
    from aggregator.rows import Job
    from aggregator.web.pages.visits import Visit

TAIL: Final = 40
"""Lines of the log that are shown."""

PAST: Final = 4


async def panel(visit: Visit) -> None:
    """The latest run, live, and a few before it."""

    async def refresh() -> None:
        runs.refresh()

    @ui.refreshable
    def runs() -> None:
        _runs(visit)

    with parts.panel("Training"):
        runs()
    visit.follow("job", refresh=refresh)


def _runs(visit: Visit) -> None:
    jobs = queries.list_jobs(visit.services, limit=PAST + 1).items
    running = bool(jobs) and jobs[0].state is JobState.RUNNING
    if visit.may(Role.OPERATOR) and not running:
        with ui.element("div").classes("line"):
            parts.button("Retrain", lambda: _ask(visit), icon="model_training", kind="main")
            parts.text("span", "Learns from the verdicts so far; a gate compares it with the champion.", "muted")
    if not jobs:
        parts.empty("No training run yet.", "Give some verdicts first: they are what a new model learns from.")
        return
    _job(visit, jobs[0])
    if len(jobs) > 1:
        parts.text("h2", "Earlier runs")
        with ui.element("ul").classes("history"):
            for job in jobs[1:]:
                with ui.element("li"):
                    parts.chip(_word(job), wording.JOB_TONES.get(str(job.state), "warn"))
                    parts.text("span", f"Run {job.id} by {job.by}")
                    moments.moment(job.created_ms)


def _job(visit: Visit, job: Job) -> None:
    running = job.state is JobState.RUNNING
    with ui.element("div").classes("line"):
        parts.chip(_word(job), wording.JOB_TONES.get(str(job.state), "warn"))
        parts.text("span", f"Run {job.id} by {job.by}")
        moments.moment(job.created_ms)
        if running and visit.may(Role.OPERATOR):
            parts.button("Cancel", lambda: _cancel(visit, job), kind="danger")
    if running:
        stage = f"{job.stage}: {job.message}" if job.message else job.stage
        parts.progress(job.fraction, f"{job.fraction * 100:.0f} %, {stage}", name="Training progress")
    elif job.message:
        parts.text("p", job.message if job.state is JobState.SUCCEEDED else f"It ended while {job.message}.")
    if job.error:
        parts.notice(sentence(job.error), "bad")
    if job.model_digest:
        parts.link(f"Model {wording.short(job.model_digest)}", f"/models/{job.model_digest}")
    lines = queries.job_log(visit.services, job.id, lines=TAIL)
    if lines:
        with ui.expansion("Log", value=running).props("dense dense-toggle").style("width: 100%"):
            parts.text("pre", "\n".join(lines), "log mono").props("tabindex=0 role=log aria-label='Training log'")


def _word(job: Job) -> str:
    return str(job.state).replace("_", " ")


async def _cancel(visit: Visit, job: Job) -> None:
    with visit.acting() as actor:
        await queries.cancel_job(visit.services, actor, job.id)
        ui.notify(f"Run {job.id} is stopped", type="info")


def _ask(visit: Visit) -> None:
    hours = visit.services.config.quarantine_hours
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", "Train a new model")
        parts.text("p", "It runs in a process of its own and can be cancelled. Agents go on meanwhile.", "muted")
        name = ui.input("Name (optional)").props("outlined dense maxlength=64").style("width: 100%")
        quarantine = ui.number("Take flows older than, hours", value=hours, min=0, step=1)
        quarantine.props("outlined dense").style("width: 100%")
        auto = ui.checkbox("Promote it by itself when it passes its gate")

        async def start() -> None:
            with visit.acting() as actor:
                await queries.start_retrain(
                    visit.services,
                    actor,
                    name=(name.value or "").strip() or None,
                    quarantine_hours=quarantine.value,
                    auto_promote=bool(auto.value),
                )
                dialog.close()

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Start", start, kind="main")
