"""What Git hosts show of pushes and previews.

subscriptions  the places that show a push or a preview
publishers     keep comments and commit statuses up to date
deployments    keep deployment objects up to date, also those of previews
comment        the one comment of a pull request
statuses       the state of each app, in the words of commit statuses
"""
