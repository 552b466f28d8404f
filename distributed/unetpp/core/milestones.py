"""Start-up time of a submitted job: seconds from submission to the first training step, said by the job."""

import os
import time

__all__ = ["SUBMITTED_AT", "since_submission"]

SUBMITTED_AT = "UNETPP_SUBMITTED_AT"
"""Unix seconds by the clock of the client; set in the environment of submitted jobs."""


def since_submission() -> str:
    """ "12.3 s after submission", or nothing where this process was not submitted as a job."""
    submitted_at = os.environ.get(SUBMITTED_AT)
    return f"{max(0.0, time.time() - float(submitted_at)):.1f} s after submission" if submitted_at else ""
