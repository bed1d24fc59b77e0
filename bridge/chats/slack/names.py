"""What buttons, pickers and modals are called, where they are made and where they are answered.

A click brings back the element's action id and its value; neither is proof of a right, which
is checked when it is clicked.
"""

DEPLOYMENT_CANCEL = "deployment.cancel"
DEPLOYMENT_REDEPLOY = "deployment.redeploy"
DEPLOYMENT_LOG = "deployment.log"
DEPLOYMENT_WHY = "deployment.why"
"""Their value is a deployment's id."""

APP_DEPLOY = "app.deploy"
APP_REDEPLOY = "app.redeploy"
APP_PROVIDER = "app.provider"
"""Their value is an app's id."""

APPS_PAGE = "apps.page"
"""The next page of a list of apps; its value is what `answers.read_page` reads."""

SUGGEST_RUN = "suggest.run"
"""Its value is the text of a command, e.g. "deploy shop/web"."""

APP_SEARCH = "app.search"
"""The searchable app picker, also its block's id; the value of an option is an app's id."""

PICK_DEPLOY = "pick.deploy"
PICK_REDEPLOY = "pick.redeploy"
PICK_CANCEL = "pick.cancel"
PICK_PROVIDER = "pick.provider"
"""The modals with that picker, by their callback ids."""

LOG_VIEW = "deployment.log"
"""The modal that shows a log; it has nothing to submit."""

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
