"""All of a training after the photos are embedded: head, probe, calibration and cut."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace

from photosieve.decision.calibration import Nearness, average_background
from photosieve.encoders.protocol import Encoder
from photosieve.sieve.evidence import Evidence
from photosieve.sieve.record import Kind
from photosieve.training.features import Prepared, start_head
from photosieve.training.run import Run, probe_scores


def fitted(
    kind: type[Kind], encoder: Encoder, data: Prepared, run: Run, objective: str, *, words: bool
) -> Kind:
    """Fit a record; see `Sieve.fit_prepared`.

    Parameters
    ----------
    kind : type
        Of record.
    encoder : Encoder
        Pretrained, with the blocks that the recipe trains in its head.
    data : Prepared
    run : Run
    objective : str
        Of the cut.
    words : bool
        Whether to calibrate words that are not labels.
    """
    from photosieve.training.fit import fit_as
    from photosieve.training.folds import probe_of
    from photosieve.training.hidden import nearest
    from photosieve.training.parallel import one_thread_each

    started = time.monotonic()
    start = start_head(encoder, data, run.recipe)
    threads = nullcontext if run.recipe.trains_blocks else one_thread_each
    with threads():
        evidence, history = Evidence.collect(data, start, run, words=words)
    with threads():  # once more: torch has been imported since, where a head is trained
        head, losses = fit_as(history, data, start, run)
        probe = probe_of(data, head, history)
    run.progress("learning the cut", 0, 1)
    photos = data.background
    background, general = head.project_photos(photos), head.project_texts(data.words)
    return kind(
        encoder=encoder.with_head(head),
        labels=dict(zip(data.labels, data.targets.sum(0).tolist(), strict=True)),
        recipe=run.recipe,
        seed=run.seed,
        tuning=evidence.tune(data.labels, objective),
        evidence=evidence,
        background=background,
        background_labels=probe_scores(probe, photos, background, history),
        verdicts=data.verdicts,
        average=average_background(background, general),
        nearness=Nearness.of(nearest(general, head.project_texts(data.texts))),
        topic=Nearness.of(general @ background.mean(0)),
        probe=probe,
        texts=head.project_texts(data.texts),
        seconds=time.monotonic() - started,
        history=replace(history, losses=tuple(losses)),
        skipped=data.skipped,
        opened=data.dataset.only_exact,
        notes=data.notes,
    )
