"""Every migration there is, oldest first."""

from __future__ import annotations

from jessyfile.migrations.migration import Migration
from jessyfile.migrations.records import record_to_2, run_to_2, state_to_2
from jessyfile.migrations.registrations import registration_to_2

MIGRATIONS = (
    Migration("record", 1, 2, "files that come with jessy have their full names, criteria their numbers", record_to_2),
    Migration("registration", 1, 2, "each holds its levels, and `latest` holds `previous`", registration_to_2),
    Migration("run", 1, 2, "criteria have their numbers", run_to_2),
    Migration("state", 1, 2, "its steps are as their records", state_to_2),
)
