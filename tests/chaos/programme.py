"""All scenarios, and the selection for a run."""

from tests.chaos import aimed, breaking, gates, people, scenarios, troubles
from tests.chaos.scenario import Scenario

KILLED = Scenario(scenarios.killed_at_any_moment)
ALL_KILLED = Scenario(scenarios.all_killed_at_once)
STOPPED = Scenario(scenarios.stopped_for_a_while)
UPGRADED = Scenario(scenarios.told_to_leave_while_busy, may_die=True)
CLOCKS = Scenario(scenarios.clocks_jump, elsewhere=True)
KILLED_ASKING = Scenario(aimed.killed_while_asking)
KILLED_ASKING_AGAIN = Scenario(aimed.killed_while_asking_again)
KILLED_PREVIEWING = Scenario(aimed.killed_while_previewing)

RESTARTED = Scenario(scenarios.database_restarted, on="postgres", may_die=True)
DATABASE_AWAY = Scenario(scenarios.database_away, on="postgres", may_die=True)
DATABASE_SILENT = Scenario(scenarios.database_silent, on="postgres", may_die=True)
DISK_FULL = Scenario(scenarios.disk_full, needs_disk=True, may_die=True)

BACKEND_AWAY = Scenario(troubles.backend_away, elsewhere=True)
BACKEND_FAILS = Scenario(troubles.backend_fails, elsewhere=True, unclear=True)
CUT_OFF = Scenario(troubles.backend_cuts_off_after_accepting, elsewhere=True, unclear=True)
PREVIEWS_CUT_OFF = Scenario(troubles.backend_cuts_off_previews, elsewhere=True)
LATE = Scenario(troubles.backend_answers_late, elsewhere=True, unclear=True)
LISTS_LATE = Scenario(troubles.backend_lists_late, elsewhere=True)
BUILDS_FAIL = Scenario(troubles.builds_fail, elsewhere=True)
BACKEND_RESTARTS = Scenario(troubles.backend_restarts, elsewhere=True)
NO_DATABASE = Scenario(troubles.backend_loses_its_database, elsewhere=True, unclear=True)
NO_LOGS = Scenario(troubles.log_folders_are_removed, elsewhere=True)
NO_LOGS_RESTARTS = Scenario(troubles.log_folders_are_removed_and_it_restarts, elsewhere=True)

PEOPLE_DEPLOY = Scenario(people.people_deploy_too, elsewhere=True)
PEOPLE_INSTEAD = Scenario(people.people_deploy_while_asking_fails, elsewhere=True, unclear=True)
EMPTIED = Scenario(people.somebody_empties_the_queue, elsewhere=True)
CANCELLED = Scenario(people.people_cancel, elsewhere=True)
CANCELLED_RESTARTS = Scenario(people.people_cancel_and_it_restarts, elsewhere=True)
CONFIGURED = Scenario(people.people_configure_an_app, elsewhere=True)
HELD = Scenario(gates.people_hold, elsewhere=True)

GOING_BACK = Scenario(aimed.killed_while_going_back)
TWO_BROKEN = Scenario(breaking.another_broken_one_comes, elsewhere=True)
FIX_FAILS = Scenario(breaking.a_fix_fails_to_build, elsewhere=True)
FIX_WAITS = Scenario(breaking.a_fix_waits_for_the_host, elsewhere=True)
PEOPLE_DIFFER = Scenario(breaking.somebody_deploys_what_differs, elsewhere=True)
PEOPLE_GO_BACK = Scenario(breaking.people_go_back, elsewhere=True)

HOST_FAILS = Scenario(scenarios.host_fails, elsewhere=True)
SLACK_FAILS = Scenario(scenarios.slack_fails, elsewhere=True)

PROCESSES = (
    KILLED, ALL_KILLED, STOPPED, UPGRADED, CLOCKS, KILLED_ASKING, KILLED_ASKING_AGAIN,
    KILLED_PREVIEWING,
)  # fmt: skip
STORES = (RESTARTED, DATABASE_AWAY, DATABASE_SILENT, DISK_FULL)
SERVICES = (
    BACKEND_AWAY, BACKEND_FAILS, CUT_OFF, PREVIEWS_CUT_OFF, LATE, LISTS_LATE, BUILDS_FAIL,
    BACKEND_RESTARTS, NO_DATABASE, NO_LOGS, NO_LOGS_RESTARTS, HOST_FAILS, SLACK_FAILS,
)  # fmt: skip
PEOPLE = (PEOPLE_DEPLOY, PEOPLE_INSTEAD, EMPTIED, CANCELLED, CANCELLED_RESTARTS, CONFIGURED, HELD)

SHORT_RUN: dict[str, tuple[tuple[Scenario, ...], ...]] = {
    "sqlite": (
        (KILLED, BUILDS_FAIL, SLACK_FAILS),
        (KILLED_ASKING, HOST_FAILS),
        (BACKEND_RESTARTS, CANCELLED),
        (NO_DATABASE, LISTS_LATE),
        (CLOCKS, CUT_OFF),
        (KILLED_PREVIEWING, DISK_FULL),
    ),
    "postgres": (
        (ALL_KILLED, LATE, CONFIGURED),
        (STOPPED, KILLED_PREVIEWING, BACKEND_RESTARTS),
        (DATABASE_AWAY, PEOPLE_DEPLOY),
        (DATABASE_SILENT, BACKEND_FAILS),
        (RESTARTED, EMPTIED, PREVIEWS_CUT_OFF),
        (UPGRADED, BACKEND_AWAY, BUILDS_FAIL),
    ),
}
"""Return the groups of the short run; the scenarios of a group run at the same time.

Scenarios that hardly depend on the database are split between the two; the long run has all on
both.
"""

BROKEN_RUN: dict[str, tuple[tuple[Scenario, ...], ...]] = {
    "sqlite": (
        (KILLED, TWO_BROKEN, FIX_WAITS),
        (GOING_BACK, FIX_FAILS, PEOPLE_GO_BACK),
        (PEOPLE_DEPLOY, TWO_BROKEN, HOST_FAILS),
    ),
    "postgres": (
        (GOING_BACK, TWO_BROKEN, PEOPLE_GO_BACK),
        (DATABASE_AWAY, PEOPLE_DEPLOY, FIX_FAILS, SLACK_FAILS),
        (ALL_KILLED, FIX_FAILS, FIX_WAITS),
    ),
}
"""The groups for apps whose versions are often broken, by the database; the short run has two."""
