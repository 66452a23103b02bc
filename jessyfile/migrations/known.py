"""Every migration there is, oldest first."""

from __future__ import annotations

from jessyfile.migrations.migration import Migration
from jessyfile.migrations.records import of_steps, record_to_2, record_to_3, run_to_2, run_to_3
from jessyfile.migrations.registrations import registration_to_2

_PRETRAINED = "the pretrained Gemma that pip installs is `gemma3:270m-pt`; write that in FROM to keep it"
MIGRATIONS = (
    Migration("record", 1, 2, "files that come with jessy have their full names, criteria their numbers", record_to_2),
    Migration("record", 2, 3, _PRETRAINED, record_to_3),
    Migration("registration", 1, 2, "each holds its levels, and `latest` holds `previous`", registration_to_2),
    Migration("run", 1, 2, "criteria have their numbers", run_to_2),
    Migration("run", 2, 3, "the base has the name that it has in the records", run_to_3),
    Migration("state", 1, 2, "its steps are as their records", of_steps(record_to_2)),
    Migration("state", 2, 3, "its steps are as their records", of_steps(record_to_3)),
)
