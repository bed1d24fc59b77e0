"""Pure decisions: no async, clock, random, logging or I/O in here.

Where to look:

    what arrived       events (a push, a person's command), refs,
                       validation_errors (what is wrong with a field, in plain words),
                       large_json (what is absurd, and what is large)
    what was refused   refused (webhooks that were not accepted)
    pull requests      pulls (as their hosts describe them)
    our own webhooks   hooks (which repositories each speaks for, and who vouches for one)
    which apps         apps (what each waits for), rules (the bridge's own),
                       policies (how they are verified and previewed)
    deploy or not      decision, changes (since which commit? is it a duplicate?), matching/
    what is built      pins (the branches of the bridge's own)
    may it be asked    gates/ (locks, freezes, approvals, the order of apps), holds, checks
    does it work       health/ (what is looked at, and what it means)
    pull requests      previews/ (an app for each)
    a deployment       lifecycle, tracking (which record is ours, and is it lost?),
                       absence (what the data may have missed)
    why it failed      failure, failing_line (which line says it), log_text
    what is hidden     masking (known values, in any spelling), secret_values (which of them),
                       secret_shapes (what looks like a secret), private_keys,
                       token_prefixes (how tokens begin)
    how well it goes   report (how often, how fast, how many fail)
    changing an app    configuration/, variables (lines of KEY=VALUE)
    people             access (who may do what), people (who is who, and who asked), chat/
    an address         addresses (can it be one at all?)
    all of it          errors/, words, backoff, trace, database

The files here import `errors/` and `matching/` of the folders. The others are above them, and each
imports only those before it: health, gates, configuration, previews, chat.
"""
