"""The fields that configure an app: one table, from which everything about them is derived.

The command line's options, a chat's inputs, the stored row and Dokploy's payloads take a field's
name, type and texts from here. `merge` checks the rest. Nothing here imports pydantic, so the
command line starts quickly.

Columns: docs/dokploy.md, "Inputs".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALL = "all"
"""Means every kind of source in `Field.columns`."""

PUSHED = ("github", "gitlab", "gitea", "git")
"""Kinds of source that pushes and tags deploy and that can be set from here."""

SOURCES = (*PUSHED, "docker")
"""Kinds of source that can be set from here; others can only be removed."""

KINDS = ("github", "gitlab", "gitea", "bitbucket", "git", "docker")
"""Kinds of source that the backend stores side by side."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an app's configuration.

    Attributes:
        name: ours, e.g. in differences and in the audit.
        columns: Dokploy's names by kind of source, or by `ALL` if all kinds share it.
            A field without columns belongs to the bridge's own rules.
        type: `str`, `int`, `bool`, or `tuple` for several texts.
        required: a source needs it; another source's value is never used instead.
        secret: never shown, and never given on a command line.
        in_commands: backends insert it into command lines.
        ruled: the bridge's own rules keep it if the backend has no field for it.
        images: it is such a rule, and concerns images too.
        short: its option, if shorter than its name.
        asks: the help of the option that prompts for its value, if that may be a secret.
        label, hint, example: the texts of its form input; an empty input shows the example.
        choices: its values, with their texts in a form.
        builds: the types of build with this field, and an example for each.
    """

    name: str
    columns: Mapping[str, str] = field(default_factory=dict)
    type: type = str
    required: bool = False
    secret: bool = False
    in_commands: bool = False
    ruled: bool = False
    images: bool = False
    empty: Any = None
    remedy: str = ""
    short: str = ""
    help: str = ""
    asks: str = ""
    label: str = ""
    hint: str = ""
    example: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    builds: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the kinds of source that have the field."""
        if not self.columns or ALL in self.columns:
            return SOURCES if self.images else PUSHED
        return tuple(kind for kind in SOURCES if kind in self.columns)


SOURCE = (
    Field("owner", {"github": "owner", "gitlab": "gitlabOwner",
                    "gitea": "giteaOwner", "bitbucket": "bitbucketOwner"},
          required=True, in_commands=True,
          help="User, organisation or group."),
    Field("repository", {"github": "repository", "gitlab": "gitlabRepository",
                         "gitea": "giteaRepository", "bitbucket": "bitbucketRepository"},
          required=True, in_commands=True,
          help="Its name, e.g. mono.", label="Repository"),
    Field("slug", {"bitbucket": "bitbucketRepositorySlug"}, required=True),
    Field("url", {"git": "customGitUrl"}, required=True, in_commands=True,
          help="Its clone address.", asks="Ask for an address that holds a password.",
          label="Clone address", example="https://host/owner/repo.git"),
    Field("branch", {"github": "branch", "gitlab": "gitlabBranch", "git": "customGitBranch",
                     "gitea": "giteaBranch", "bitbucket": "bitbucketBranch"}, required=True,
          help="The branch that is built.", label="Branch", example="main",
          remedy="the branch to build may have letters, digits and . _ - / # + @ = , %;"
                 " for a pattern of branches whose pushes deploy, set `branches`"),
    Field("provider_id", {"github": "githubId", "gitlab": "gitlabId",
                          "gitea": "giteaId", "bitbucket": "bitbucketId"}, required=True,
          short="account", help="Id of the Git account; `provider accounts` lists them."),
    Field("project_id", {"gitlab": "gitlabProjectId"}, int, required=True,
          help="GitLab's number of the project.",
          label="Project ID", hint="GitLab's number of the project, shown on its page.",
          remedy="it is GitLab's number of the project, shown on the project's page"),
    Field("path", {"gitlab": "gitlabPathNamespace"}, required=True, in_commands=True,
          help="With all groups, e.g. group/sub/mono.",
          label="Repository", hint="With everything before its name.",
          example="group/subgroup/project"),
    Field("ssh_key_id", {"git": "customGitSSHKeyId"},
          short="ssh_key", help="Id of the SSH key that Dokploy clones with.",
          label="SSH key", hint="Its id in the backend, where the address needs one."),
    Field("build_path", {"github": "buildPath", "gitlab": "gitlabBuildPath",
                         "gitea": "giteaBuildPath", "bitbucket": "bitbucketBuildPath",
                         "git": "customGitBuildPath"}, in_commands=True, empty="/",
          help="Folder of the repository that is built.", label="Folder"),
    Field("image", {"docker": "dockerImage"}, required=True,
          help="E.g. nginx:1.27.", label="Image", example="nginx:1.27"),
    Field("username", {"docker": "username"}, help="At the registry.", label="User name there"),
    Field("password", {"docker": "password"}, secret=True,
          help="Ask for the registry's password, hidden.",
          asks="Read the password from standard input.",
          label="Password there", hint="Never shown again. It is sealed until it is saved.",
          example="None"),
    Field("registry_url", {"docker": "registryUrl"},
          help="Empty: Docker Hub.", label="Registry", example="Docker Hub"),
    Field("watch_paths", {ALL: "watchPaths"}, tuple,
          short="watch", help="Deploy only when a file matches, e.g. 'web/**'. Repeatable.",
          label="Watch paths",
          hint="One a line; only pushes that change a file like these deploy. ! excludes.",
          example="web/**"),
    Field("submodules", {ALL: "enableSubmodules"}, bool, empty=False,
          help="Clone submodules too.", label="Clone submodules too"),
    Field("trigger", {ALL: "triggerType"}, ruled=True,
          help="push or tag.",
          label="Deploys on", choices={"push": "Pushes to its branch", "tag": "New tags"},
          remedy="it is push or tag"),
    Field("branches", ruled=True,
          help="Pushes to these branches deploy, e.g. 'release/*'.",
          label="Branches whose pushes deploy",
          hint="A pattern such as release/*; what is built is the branch above.",
          example="Only the branch above"),
    Field("tags", ruled=True,
          help="Only tags like this deploy, e.g. 'v*'.",
          label="Tags", hint="Only tags like this deploy.", example="v*"),
    Field("versions", ruled=True,
          help="Only versions in this range, e.g. '>=1.2 <2'.",
          label="Versions", hint="Only tags whose version is in it.", example=">=1.2 <2"),
    Field("tag_prefix", ruled=True,
          help="The text before the version in a tag.",
          label="Text before the version", example="v"),
    Field("prereleases", ruled=True,
          help="deploy, skip or only.", label="Pre-releases",
          choices={"deploy": "Deploy them", "skip": "Skip them", "only": "Only them"}),
    Field("only_newer", type=bool, ruled=True,
          help="Never deploy an older version after a newer one.",
          label="Never deploy an older version after a newer one"),
    Field("skip_directives", type=bool, ruled=True, help="Whether to honour [skip ci]."),
    Field("verify", ruled=True, images=True,
          help="How to check that it works, e.g. '/healthz within=2m'; yes or no.",
          label="Verified by", hint="A path or an address that is asked once it is deployed; yes"
          " for its front page and its containers. status=, contains=, within= may follow.",
          example="/healthz"),
)  # fmt: skip
"""The fields of an app's source, and of the rules for its deployments."""

BUILD = (
    Field("build_type", {ALL: "buildType"},
          short="type",
          help="dockerfile, nixpacks, railpack, heroku_buildpacks, paketo_buildpacks, static.",
          label="Built with",
          choices={"nixpacks": "Nixpacks", "railpack": "Railpack", "dockerfile": "Dockerfile",
                   "static": "Static files", "heroku_buildpacks": "Heroku buildpacks",
                   "paketo_buildpacks": "Paketo buildpacks"},
          remedy="it is one of dockerfile, nixpacks, railpack, heroku_buildpacks,"
                 " paketo_buildpacks, static"),
    Field("dockerfile", {ALL: "dockerfile"}, in_commands=True,
          help="Its path.", label="Dockerfile", builds={"dockerfile": "Dockerfile"}),
    Field("docker_context_path", {ALL: "dockerContextPath"}, in_commands=True,
          short="docker_context", help="Folder that docker builds in.",
          label="Context folder", builds={"dockerfile": "."}),
    Field("docker_build_stage", {ALL: "dockerBuildStage"}, in_commands=True,
          short="docker_stage", help="Stage to build; the last, when empty.",
          label="Stage", builds={"dockerfile": "The last one"}),
    Field("publish_directory", {ALL: "publishDirectory"}, in_commands=True,
          short="publish", help="Folder that is served.",
          label="Published folder",
          builds={"static": "dist", "nixpacks": "None: it runs its own server"}),
    Field("static_spa", {ALL: "isStaticSpa"}, bool,
          short="spa", help="Unknown addresses get the front page.",
          label="One page for all addresses (a single-page app)", builds={"static": ""}),
    Field("heroku_version", {ALL: "herokuVersion"}, in_commands=True,
          help="Of its builder, e.g. 24.",
          label="Heroku stack", builds={"heroku_buildpacks": "24"}),
    Field("railpack_version", {ALL: "railpackVersion"}, in_commands=True,
          help="Of railpack, e.g. 0.15.4.",
          label="Railpack version", builds={"railpack": "The backend's own"}),
)  # fmt: skip
"""The fields of an app's build."""

ENVIRONMENT = (
    Field("env", {ALL: "env"}, secret=True, label="Environment"),
    Field("build_args", {ALL: "buildArgs"}, secret=True, label="Build arguments"),
    Field("build_secrets", {ALL: "buildSecrets"}, secret=True, label="Build secrets"),
    Field("create_env_file", {ALL: "createEnvFile"}, bool,
          short="env_file", help="Write an .env file to build.",
          label="Write them into an .env file for the build"),
)  # fmt: skip
"""An app's variables; each section is one text with many."""

FIELDS: Mapping[str, Field] = {one.name: one for one in (*SOURCE, *BUILD, *ENVIRONMENT)}
"""All fields by name."""

SHARED = tuple(one.name for one in SOURCE if ALL in one.columns)
"""Fields that the backend stores once for all kinds of source."""

SECTIONS = tuple(one.name for one in ENVIRONMENT if one.secret)
"""The fields that hold variables."""

COLUMNS: Mapping[str, str] = {
    "source": "sourceType",
    **{
        f"{kind}.{one.name}": one.columns[kind]
        for kind in KINDS
        for one in SOURCE
        if kind in one.columns
    },
    **{name: FIELDS[name].columns[ALL] for name in SHARED},
}
"""The API's names of all stored fields of a source, by our names, such as `git.url`."""


def settable(kind: str) -> tuple[Field, ...]:
    """Return the fields of a kind of source, including those of when it deploys."""
    return tuple(one for one in SOURCE if kind in one.sources)
