"""Prefect, and nothing else: the stages of `enggang.stages` as tasks and flows, with retries and schedules."""

import os

from flows.runtime import prepare

# Prefect reads its environment when it is imported, so this comes before any module of this package does that.
prepare(os.environ)
