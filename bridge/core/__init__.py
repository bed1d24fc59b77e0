"""Pure decisions: no async, clock, random, logging or I/O in here.

Where to look:

    what came in       events, refs; commands (a person's wish), found (by reconciliation),
                       pushes (is it a second one?)
    what was refused   refused (webhooks that never came in), likely (which one is missed)
    which apps         watch (what each waits for), rules (the bridge's own), naming
    repositories       absent (no app deploys from them), silence (their hosts say nothing)
    deploy or not      decision; watch_paths/, on globs/; versions, change_sets, rehearsal
    a deployment       lifecycle, tracking (which record is ours), watchdog (what was lost)
    why it failed      failure (of a whole log), build_errors (of tools); log_text, redaction
    changing an app    configuring/
    backends           troubles (those that can't be read)
    people             access (who may do what), chat/
    what was read      misfits (fields that are not as they must be)
    all of it          errors, trace, steady (a clock), pacing, database, roles
"""
