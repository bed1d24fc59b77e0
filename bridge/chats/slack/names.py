"""The ids of buttons, pickers and modals, shared by their builders and handlers.

A click returns the element's action id and its value; neither proves a right: rights are checked at
the click.
"""

from bridge.core.previews.verdict import Act
from bridge.views import actions

DEPLOYMENT_CANCEL = actions.CANCEL
DEPLOYMENT_REDEPLOY = actions.REDEPLOY
DEPLOYMENT_ROLLBACK = actions.ROLLBACK
DEPLOYMENT_ROLLBACK_TO = actions.ROLLBACK_TO
DEPLOYMENT_LOG = actions.LOG
DEPLOYMENT_WHY = actions.WHY
"""Their value is a deployment's id."""

APP_DEPLOY = "app.deploy"
APP_REDEPLOY = "app.redeploy"
APP_PROVIDER = "app.provider"
"""Their value is an app's id."""

NEXT_PAGE = "apps.page"
"""The next page of a list; its value is what `views.read_page` reads."""

SUGGEST_RUN = "suggest.run"
"""Its value is the text of a command, e.g. "deploy shop/web"."""

APP_SEARCH = "app.search"
"""The searchable app picker, also its block's id; the value of an option is an app's id."""

PROVIDER_SOURCE = "provider.source"
PROVIDER_BUILD = "provider.build"
PROVIDER_ENVIRONMENT = "provider.environment"
"""The modals that configure an app, a part each, by their callback ids."""
PROVIDER_CONFIRM = "provider.confirm"
"""The modal that shows what would change; submitting it means agreement."""
PROVIDER_PARTING = "provider.parting"
"""The same for disconnecting an app's source."""
PROVIDER_NEWS = "provider.news"
"""Either after agreement, while loading, or if unreadable; it has nothing to submit."""
PROVIDER_PART = "provider.part"
"""A button that switches to another part; its value is that part's callback id."""
PROVIDER_FIELD = "provider.field"
"""Every field of these modals."""
PROVIDER_REDRAW = "provider.redraw"
"""A field on which others depend: a change redraws the modal."""
PROVIDER_TRY = "provider.try"
"""A field on which recent pushes are tried while it is typed."""
PROVIDER_REPOSITORY = "provider.repository"
PROVIDER_BRANCH = "provider.branch"
"""The searchable lists of an account's repositories and of a repository's branches."""
PROVIDER_AGAIN = "provider.again"
"""Retries a failed reading."""
PROVIDER_DISCONNECT = "provider.disconnect"
"""Its value is the app's id."""
PROVIDER_UNDO = actions.UNDO
"""Its value is the number of the change to undo."""

HOME_VIEW = "home"
HOME_NEW = "home.new"
"""Opens the picker of an app to deploy."""
HOME_DEPLOY = "home.deploy"
HOME_CONFIGURE = "home.configure"
"""Their value is an app's id."""
HOME_PAGE = "home.page"
"""A select whose options' values are page numbers, from 1."""
HOME_FILTER = "home.filter"
"""A select whose options' values are `home.EVERYTHING` or a project's name."""

GATE_APPROVE = actions.APPROVE
"""A button; its value is a deployment's id and the commit that the card shows."""
GATE_UNLOCK = actions.UNLOCK
"""A button; its value is a deployment's id and the key of the lock's hold."""
LOCK_RELEASE = actions.RELEASE
LOCK_KEEP = actions.KEEP
"""The buttons of a reminder; their value is the lock's key."""
GATE_OVERRIDE = actions.OVERRIDE
"""A button that opens a dialog; its value is a deployment's id."""
PREVIEW_APPROVE = actions.PREVIEW[Act.APPROVE]
PREVIEW_STOP = actions.PREVIEW[Act.STOP]
PREVIEW_EXTEND = actions.PREVIEW[Act.EXTEND]
"""Buttons; their value is a preview's id and the commit that is shown."""
OPERATION_RUN = "operation.run"
OPERATION_DIALOG = "operation.dialog"
"""Buttons: carry out a call, or open the dialog for what it lacks; see `views.read_call`."""
OPERATION_VIEW = "operation.view"
"""The dialog itself. Each field and its block have the name of the argument."""
