"""The fields of the form that says where an app's code comes from and when it deploys. Pure."""

from bridge.chats.slack.configuring.source_form import KINDS, SourceForm, kept_address, of
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import context
from bridge.chats.slack.drawing.fields import (
    BLOCK_ID,
    INITIAL_TEXT,
    NONE,
    choice_field,
    search_field,
    text_field,
    ticks_field,
)
from bridge.chats.slack.drawing.messages import Block
from bridge.core.watch import AppKind, SourceType, Trigger

KEPT = "Kept as it is"

_TRIGGERS = (
    (Trigger.PUSH.value, "Pushes to its branch"),
    (Trigger.TAG.value, "New tags"),
)
_PRERELEASES = (
    (NONE, "As usual"),
    ("deploy", "Deploy them"),
    ("skip", "Skip them"),
    ("only", "Only them"),
)


def source_fields(form: SourceForm) -> list[Block]:
    """The fields of the form."""
    kinds = [
        (kind.value, words)
        for kind, words in KINDS.items()
        if form.app.kind is AppKind.APPLICATION or kind is not SourceType.DOCKER
    ]
    blocks = [choice_field("source.kind", "Comes from", kinds, form.kind.value, redraws=True)]
    match form.kind:
        case SourceType.DOCKER:
            return blocks + _image(form)
        case SourceType.GIT:
            blocks += _address(form)
        case _:
            blocks += _hosted(form)
    return blocks + _folder(form) + _when(form)


def _hosted(form: SourceForm) -> list[Block]:
    kind = form.kind
    mine = [(one.id, one.name) for one in form.accounts if one.type is kind]
    blocks: list[Block] = []
    account = form.account
    if mine:
        chosen = account.id if account else NONE
        choices = [*mine, (NONE, "Type it in")]
        title = f"{KINDS[kind]} account"
        blocks.append(choice_field(f"{kind}.account", title, choices, chosen, redraws=True))
    if account is None:
        return blocks + _typed(form)
    repository = form.value("repository") or form.value("path")
    blocks.append(
        search_field(
            f"{kind}.repository|{account.id}",
            "Repository",
            names.PROVIDER_REPOSITORY,
            repository,
            redraws=True,
        )
    )
    of = f"{kind}.branch|{account.id}|{repository or ''}"
    if repository and len(of) <= BLOCK_ID:
        branch = form.value("branch")
        blocks.append(search_field(of, "Branch", names.PROVIDER_BRANCH, branch))
    else:
        blocks.append(_branch(form))
    return blocks


def _typed(form: SourceForm) -> list[Block]:
    kind = form.kind
    example = "my-org/mono" if kind is SourceType.GITHUB else "group/subgroup/project"
    blocks = [
        text_field(
            f"{kind}.path",
            "Repository",
            form.value("path"),
            placeholder=example,
            hint="With everything before its name.",
        )
    ]
    if kind is SourceType.GITLAB:
        hint = "GitLab's number of the project, shown on its page."
        blocks.append(
            text_field(f"{kind}.project_id", "Project ID", form.value("project_id"), hint=hint)
        )
    return [*blocks, _branch(form)]


def _address(form: SourceForm) -> list[Block]:
    secret = kept_address(form.now)
    return [
        text_field(
            "git.url",
            "Clone address",
            form.value("url"),
            placeholder=f"{KEPT}: {secret}" if secret else "https://host/owner/repo.git",
            optional=bool(secret),
        ),
        _branch(form),
        text_field(
            "git.ssh_key_id",
            "SSH key",
            form.value("ssh_key_id"),
            hint="Its id in the backend, where the address needs one.",
            optional=True,
        ),
    ]


def _image(form: SourceForm) -> list[Block]:
    password = of(form.now, SourceType.DOCKER, "password") is not None
    return [
        text_field("docker.image", "Image", form.value("image"), placeholder="nginx:1.27"),
        text_field(
            "docker.registry_url",
            "Registry",
            form.value("registry_url"),
            placeholder="Docker Hub",
            optional=True,
        ),
        text_field("docker.username", "User name there", form.value("username"), optional=True),
        text_field(
            "docker.password",
            "Password there",
            placeholder=KEPT if password else "None",
            hint="Never shown again. It is sealed until it is saved.",
            optional=True,
        ),
        *(
            [
                ticks_field(
                    "docker.forget", "Its password", [("password", "Forget the password")], ()
                )
            ]
            if password
            else []
        ),
    ]


def _branch(form: SourceForm) -> Block:
    return text_field(f"{form.kind}.branch", "Branch", form.value("branch"), placeholder="main")


def _folder(form: SourceForm) -> list[Block]:
    kind = form.kind
    blocks: list[Block] = []
    if form.app.kind is AppKind.APPLICATION:
        blocks.append(
            text_field(f"{kind}.build_path", "Folder", form.value("build_path"), optional=True)
        )
    ticked = form.value("clone") or ()
    choices = [("submodules", "Clone submodules too")]
    return [*blocks, ticks_field(f"{kind}.clone", "Cloning", choices, ticked)]


def _when(form: SourceForm) -> list[Block]:
    """When it deploys; the block ids are the same for all kinds, so that nothing typed is lost."""
    trigger = choice_field(
        "when.trigger", "Deploys on", _TRIGGERS, form.trigger.value, redraws=True
    )
    if form.trigger is Trigger.PUSH:
        return [trigger, *_on_pushes(form)]
    return [trigger, *_on_tags(form)]


def _on_pushes(form: SourceForm) -> list[Block]:
    watched = form.value("watch_paths")
    return [
        text_field(
            "when.branches",
            "Branches whose pushes deploy",
            form.value("branches"),
            placeholder="Only the branch above",
            hint="A pattern such as release/*; what is built is the branch above.",
            optional=True,
            tried=True,
        ),
        context("Its watch paths are too long for Slack: change them on the command line.")
        if watched and len(watched) > INITIAL_TEXT
        else text_field(
            "when.watch_paths",
            "Watch paths",
            watched,
            placeholder="web/**",
            hint="One a line; only pushes that change a file like these deploy. ! excludes.",
            optional=True,
            lines=True,
            tried=True,
        ),
    ]


def _on_tags(form: SourceForm) -> list[Block]:
    return [
        text_field(
            "when.tags",
            "Tags",
            form.value("tags"),
            placeholder="v*",
            hint="Only tags like this deploy.",
            optional=True,
            tried=True,
        ),
        text_field(
            "when.versions",
            "Versions",
            form.value("versions"),
            placeholder=">=1.2 <2",
            hint="Only tags whose version is in it.",
            optional=True,
            tried=True,
        ),
        text_field(
            "when.tag_prefix",
            "What stands before the version",
            form.value("tag_prefix"),
            placeholder="v",
            optional=True,
        ),
        choice_field(
            "when.prereleases",
            "Pre-releases",
            _PRERELEASES,
            form.value("prereleases") or NONE,
        ),
        ticks_field(
            "when.order",
            "Order",
            [("only_newer", "Never an older version after a newer one")],
            form.value("order") or (),
        ),
    ]
