"""Making projects, apps and providers, for the command line and the demo."""

from bridge.backends.embedded.adapter.configuring import Configuring
from bridge.backends.embedded.adapter.reading import read_app
from bridge.backends.embedded.http import inputs, shapes
from bridge.backends.embedded.http.procedures import applications, projects, providers
from bridge.core.configuring.configuration import BuildType, Environment, ProviderSettings
from bridge.core.errors import NotFound
from bridge.core.watch import App


class Making(Configuring):
    """What no other backend lets us do: make and delete what is configured."""

    async def create_project(self, name: str, description: str | None = None) -> str:
        """Make a project; returns its id."""
        data = {"name": name, "description": description}
        answer = await self._call(projects.create, inputs.ProjectCreate, data)
        return str(answer["project"]["projectId"])

    async def create_app(
        self,
        name: str,
        *,
        project: str,
        source: ProviderSettings | None = None,
        build: BuildType | None = None,
        environment: Environment | None = None,
    ) -> App:
        """Make an app in the default environment of a project, which is made where it is missing.

        Args:
            project: its name or id.
        """
        data = {"name": name, "environmentId": await self._default_environment(project)}
        record = await self._call(applications.create, inputs.ApplicationCreate, data)
        app = await self.app(record["applicationId"])
        if source is not None:
            await self.save_provider(app, source)
        if build is not None:
            await self.save_build_type(app, build)
        if environment is not None:
            await self.save_environment(app, environment)
        return await self.app(app.id)

    async def delete_app(self, app: App) -> None:
        """Delete an app with its site, checkout, logs and containers."""
        await self._call(applications.delete, inputs.ApplicationId, {"applicationId": app.id})

    async def app(self, id_: str) -> App:
        """One app; raises NotFound."""
        record = await self._reading(self._parts.catalog.application(id_))
        if record is None:
            raise NotFound(f"the embedded backend has no app {id_!r}")
        return read_app(record, self.name, self._parts.public_site(record))

    async def site_url(self, app: App) -> str:
        """Where the app's static site is served."""
        record = await self._reading(self._parts.catalog.application(app.id))
        if record is None:
            raise NotFound(f"the embedded backend has no app {app.id!r}")
        return self._server.site_url(record["appName"])

    async def create_github_provider(self, name: str, url: str = "https://github.com") -> str:
        """Make a GitHub provider; returns its id."""
        provider = await self._reading(providers.add_github(self._parts, name, url))
        return str(provider["githubId"])

    async def create_gitlab_provider(self, name: str, url: str = "https://gitlab.com") -> str:
        """Make a GitLab provider; returns its id."""
        data = {"name": name, "gitlabUrl": url, "authId": shapes.ORGANIZATION}
        provider = await self._call(providers.add_gitlab, inputs.GitlabCreate, data)
        return str(provider["gitlabId"])

    async def _default_environment(self, project: str) -> str:
        for one in await self._reading(self._parts.catalog.projects()):
            if project in (one["name"], one["projectId"]):
                defaults = [env for env in one["environments"] if env["isDefault"]]
                return str(defaults[0]["environmentId"])
        data = {"name": project}
        answer = await self._call(projects.create, inputs.ProjectCreate, data)
        return str(answer["environment"]["environmentId"])
