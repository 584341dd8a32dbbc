"""Endpoints that train, and go back to earlier sieves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from photosieve.server.addresses import address
from photosieve.server.jobs import Job
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.schemas import JobState, SieveVersion
from photosieve.server.service import get_service

MAX_STREAMS = 100
"""Streams of events at the same time; others ask for the state now and then."""

router = APIRouter(responses=ERRORS)


@router.post("/train", tags=["learning"], status_code=202, summary="Train on the labels")
def train(request: Request, response: Response) -> JobState:
    """Start to train a new sieve on all labeled photos; see `/jobs/{id}`."""
    job = get_service(request).jobs.start()
    response.headers["Location"] = address(request.scope, f"/jobs/{job.id}")
    return JobState(**job.to_dict())


@router.get("/jobs", tags=["learning"], summary="List the trainings")
def list_jobs(request: Request) -> list[JobState]:
    """Return the last trainings, the newest first, also those of before a restart."""
    return [JobState(**job.to_dict()) for job in get_service(request).jobs.list()]


def _job(request: Request, job_id: str) -> Job:
    job = get_service(request).jobs.get(job_id)
    if job is None:
        raise ApiError(404, "there is no such job")
    return job


@router.get("/jobs/{job_id}", tags=["learning"], summary="Get a training")
def get_job(request: Request, job_id: str) -> JobState:
    """Return the state of a training, with figures when it is done."""
    return JobState(**_job(request, job_id).to_dict())


@router.get(
    "/jobs/{job_id}/events",
    tags=["learning"],
    summary="Watch a training",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, job_id: str) -> StreamingResponse:
    """Send the state of a training whenever it changes, as server-sent events."""
    job, service = _job(request, job_id), get_service(request)
    if service.streams >= MAX_STREAMS:
        raise ApiError(429, "too many watch this training; ask for /jobs/{id} instead", retry=5)

    async def states() -> AsyncIterator[str]:
        service.streams += 1
        try:
            last, quiet = "", 0.0
            while not await request.is_disconnected():
                state = json.dumps(job.to_dict())
                if state != last:
                    yield f"data: {state}\n\n"
                    last, quiet = state, 0.0
                elif quiet > 15:
                    yield ": keep-alive\n\n"
                    quiet = 0.0
                if job.state != "running":
                    return
                await asyncio.sleep(0.2)
                quiet += 0.2
        finally:
            service.streams -= 1

    return StreamingResponse(states(), media_type="text/event-stream")


@router.post("/jobs/{job_id}/keep", tags=["learning"], summary="Use the new sieve")
def keep(request: Request, job_id: str) -> JobState:
    """Replace the sieve in use with the new one."""
    job = _job(request, job_id)
    get_service(request).jobs.keep(job)
    return JobState(**job.to_dict())


@router.post("/jobs/{job_id}/drop", tags=["learning"], summary="Drop the new sieve")
def drop(request: Request, job_id: str) -> JobState:
    """Delete the new sieve; the sieve in use stays."""
    job = _job(request, job_id)
    get_service(request).jobs.drop(job)
    return JobState(**job.to_dict())


@router.delete("/jobs/{job_id}", tags=["learning"], summary="Stop a training")
def cancel(request: Request, job_id: str) -> JobState:
    """Stop a running training; the sieve in use stays."""
    job = _job(request, job_id)
    get_service(request).jobs.cancel(job)
    return JobState(**job.to_dict())


@router.get("/versions", tags=["learning"], summary="List the sieves that were in use")
def versions(request: Request) -> list[SieveVersion]:
    """Return the last 20 sieves that were kept, the newest first, and the one before them."""
    kept = get_service(request).jobs.versions
    used = kept.used
    return [SieveVersion(**asdict(one), used=one.id == used) for one in kept.list()]


@router.post("/versions/{version_id}/use", tags=["learning"], summary="Use an earlier sieve")
def use_version(request: Request, version_id: str) -> SieveVersion:
    """Search with an earlier sieve again; the one in use stays as a version, too."""
    jobs = get_service(request).jobs
    version = jobs.versions.get(version_id)
    if version is None:
        raise ApiError(404, "there is no such version")
    jobs.use(version)
    return SieveVersion(**asdict(version), used=True)


@router.get("/evaluation", tags=["learning"], summary="Evaluate the sieve")
def evaluate(request: Request) -> dict[str, Any]:
    """Return the figures on the photos kept for testing, and on held-out buildings.

    Without photos for testing, `test` is null.
    """
    service = get_service(request)
    view = service.library.view()
    evaluation = service.evaluation(view)
    tuning = view.sieve.tuning.to_dict()
    return {
        "held_out": {"objective": tuning["objective"], "figures": tuning["figures"]},
        "test": None if evaluation is None else {**evaluation.to_dict(), "skipped": []},
    }
